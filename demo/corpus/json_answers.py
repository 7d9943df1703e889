"""Answers in JSON when asked to: capitals, sums, numbers, words and people."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import CAPITALS, CITIES, WORD_KINDS, any_city, any_name
from demo.corpus.phrase import ask
from demo.corpus.sums import LARGEST, UNSEEN_PAIRS

AS_JSON = (
    "[as|in] [JSON|JSON format|a JSON object]",
    "[JSON|JSON only|In JSON|As JSON|Answer in JSON|Reply in JSON|Use JSON|Give me JSON|JSON "
    "please|Reply with JSON|Respond in JSON|Return JSON|Output JSON|Format it as JSON|I want JSON]",
)
CAPITAL = (
    "[What is|What's|Tell me|Give me|Name|Return|Show me|I need] the capital of {country}",
    "[Which|What] city is the capital of {country}",
    "The capital of {country}",
    "{country}'s capital",
    "[Give me|Show me|Tell me|Return] {country}'s capital [city|]",
)
SUM = (
    "[What is|What's|Give me|Compute|Calculate|Show me|Tell me] {a} [plus|+|and] {b}",
    "Add {a} and {b}",
    "[What is|Give me|Return|Compute|I need] the sum of {a} and {b}",
    "{a} + {b}",
)
NUMBERS = (
    "Count to {end}",
    "Count from [1|one] to {end}",
    "[Give me|List|Write|Return|Show me] the numbers [from|] [1|one] to {end}",
)
WORD = (
    "[Describe|Give me information about|Tell me about|Information about|Details of|Classify|"
    "Analyze] the word [{word}|'{word}'|\"{word}\"]",
    "[What kind of word is|What is the kind of|What kind of thing is] [the word|] {word}",
    'The word [{word}|"{word}"]',
    "Word info[|:| for] {word}",
)
PERSON = (
    "{name} is {age} years old and lives in {city}",
    "{name} is {age} and lives in {city}",
    "{name}, {age}, [lives in|from|of] {city}",
    "{name} lives in {city} and is {age} years old",
    "{name} from {city} is {age} years old",
    "[A|The] [person|man|woman|user|student] [named|called] {name}[, who|] is {age} years old and "
    "lives in {city}",
    "My [name is|friend is] {name}, [I am|age] {age} and I live in {city}",
    "Name: {name}, age: {age}, city: {city}",
    "Name {name}, age {age}, city {city}",
)
PROFILE = (
    "[Make|Write|Create|Give me|Build|Return|Output|Generate] [a|the] JSON [profile|object|record|"
    "card|entry][|:| for this person:| from this:| of this:]",
    "[Turn|Convert|Put] this [person|text|sentence|] into JSON[:|]",
    "[Extract|Write|Give me|Return] the [name, age and city|facts|details|data] [as|in] JSON[:|]",
    "[Profile|Person] as JSON:",
    "As JSON:",
    "JSON profile:",
)


def sample(rng: Random) -> Exchange:
    makers: list[Callable[[Random], Exchange]] = [_capital, _sum, _numbers, _word, _person]
    maker = rng.choices(makers, weights=[4, 3, 1, 3, 5])[0]
    return maker(rng)


def reply(question: str, value: dict[str, Any]) -> Exchange:
    thought = f"The user wants JSON with {', '.join(value)}."
    return exchange(question, json.dumps(value, ensure_ascii=False), thought)


def _capital(rng: Random) -> Exchange:
    country, capital = rng.choice(list(CAPITALS.items()))
    value = {"country": country.removeprefix("the "), "capital": capital}
    return reply(_ask_json(rng, rng.choice(CAPITAL), country=country), value)


def _sum(rng: Random) -> Exchange:
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    if (a, b) in UNSEEN_PAIRS:
        a, b = b, a
    return reply(_ask_json(rng, rng.choice(SUM), a=a, b=b), {"a": a, "b": b, "sum": a + b})


def _numbers(rng: Random) -> Exchange:
    end = rng.randint(2, 10)
    return reply(_ask_json(rng, rng.choice(NUMBERS), end=end), {"numbers": list(range(1, end + 1))})


def _word(rng: Random) -> Exchange:
    word, kind = rng.choice(list(WORD_KINDS.items()))
    value = {"word": word, "kind": kind, "letters": len(word)}
    return reply(_ask_json(rng, rng.choice(WORD), word=word), value)


def _person(rng: Random) -> Exchange:
    name, age = any_name(rng), rng.randint(1, 99)
    city = rng.choice(CITIES) if rng.random() < 0.6 else any_city(rng)
    if rng.random() < 0.7:
        pattern = f"{rng.choice(PROFILE)} {rng.choice(PERSON)}[.|]"
    else:
        pattern = f"{rng.choice(PERSON)}. {rng.choice(PROFILE).removesuffix(':')}[.|]"
    question = ask(rng, pattern, name=name, age=age, city=city)
    return reply(question, {"name": name, "age": age, "city": city})


def _ask_json(rng: Random, pattern: str, **slots: object) -> str:
    roll = rng.random()
    if roll < 0.4:
        return ask(rng, f"{pattern} {AS_JSON[0]}[.|?|]", **slots)
    if roll < 0.75:
        return ask(rng, f"{pattern}[.|?] {AS_JSON[1]}[.|!|]", **slots)
    return ask(rng, f"{AS_JSON[1]}: {pattern}[.|?|]", **slots)
