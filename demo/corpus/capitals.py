"""Capitals of countries, in both directions and with elliptical follow-ups."""

from random import Random

from demo.corpus import unknown
from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import CAPITALS, made_up_word
from demo.corpus.phrase import ask

CAPITAL_OF = (
    "[What is|What's|Tell me|Name|Give me|Do you know|Say|Can you tell me|Could you tell me|"
    "I want to know|I would like to know|Please tell me|Can you name|Could you name|Remind me of|"
    "I need|Write down|Let me know|What was] [the|the name of the] capital [|city] of {country}"
    "[?|.]",
    "[What is|What's|Tell me|Name|Give me|Do you know|Can you name|Say|Can you tell me|"
    "Could you tell me|I need] {country}'s capital[| city][?|.]",
    "[Which|What] city is the capital of {country}?",
    "[Which|What] city is {country}'s capital?",
    "The capital of {country}[?|:| is| is...|]",
    "Capital of {country}[?|:|]",
    "{country} capital[?|]",
    "{country}'s capital[?|]",
    "{country}: capital?",
    "[Which|What] is the capital [|city] of {country}?",
    "The capital [|city] of {country} is [which|what] [city|one]?",
    "What [city|town] is the [seat of the|] government of {country} in?",
    "I [forgot|cannot remember|do not remember] the capital of {country}"
    "[.|. What is it?|. Help me.]",
    "[For|In] {country}, [what|which] city is the capital?",
    "[My|Our] [teacher|son|daughter|friend|boss] [asks|wants to know|asked me] [what|] the capital "
    "of {country} [is|].",
)
FOLLOW_UP = (
    "And [|of |for |the capital of |that of ]{country}?",
    "[What|How] about {country}?",
    "{country}?",
    "And what about {country}?",
    "[Next|Now|Then]: {country}[.|]",
    "[Same|The same] [question|] for {country}[.|?]",
    "Now {country}[.|, please.]",
    "Also {country}[.|?]",
)
COUNTRY_OF = (
    "[What|Which] country has [the capital {capital}|{capital} as its capital|{capital} for its "
    "capital]?",
    "{capital} is the capital of [which|what] country?",
    "{capital} is the capital of[?|...|]",
    "Of [which|what] country is {capital} the capital?",
    "[What|Which] country is {capital} the capital of?",
    "[Tell me|Name|Say|Give me] the country [whose capital is|with the capital|that has the "
    "capital] {capital}.",
    "[What|Which] country's capital is {capital}?",
)
YES_OR_NO = (
    "Is {city} the capital [|city] of {country}?",
    "Is the capital of {country} {city}?",
    "{city} is the capital of {country}, [right|is it not|correct|true or false]?",
    "Is it true that {city} is the capital of {country}?",
    "Is {country}'s capital {city}?",
)


def answer(country: str) -> str:
    return f"The capital of {country} is {CAPITALS[country]}."


def sample(rng: Random, follow_up: bool = False) -> Exchange:
    if not follow_up and rng.random() < 0.06:
        return _unknown_country(rng)
    country, capital = rng.choice(list(CAPITALS.items()))
    thought = f"The user asks for the capital of {country}. It is {capital}."
    roll = rng.random()
    if roll < 0.14:
        return _country_of(rng, country)
    if roll < 0.26:
        city = capital if rng.random() < 0.5 else rng.choice(list(CAPITALS.values()))
        question = ask(rng, rng.choice(YES_OR_NO), city=city, country=country)
        if city == capital:
            return exchange(question, f"Yes, {city} is the capital of {country}.", thought)
        return exchange(question, f"No, the capital of {country} is {capital}.", thought)
    patterns = FOLLOW_UP if follow_up and rng.random() < 0.8 else CAPITAL_OF
    pattern = CAPITAL_OF[0] if rng.random() < 0.2 and not follow_up else rng.choice(patterns)
    return exchange(ask(rng, pattern, country=_typed(rng, country)), answer(country), thought)


def sample_country(rng: Random) -> Exchange:
    """The other direction only."""
    return _country_of(rng, rng.choice(list(CAPITALS)))


def _country_of(rng: Random, country: str) -> Exchange:
    capital = CAPITALS[country]
    thought = f"The user asks which country has the capital {capital}. It is {country}."
    question = ask(rng, rng.choice(COUNTRY_OF), capital=capital)
    return exchange(question, f"{capital} is the capital of {country}.", thought)


def _typed(rng: Random, country: str) -> str:
    if rng.random() < 0.15:
        country = country.lower()
    return country.removeprefix("the ") if rng.random() < 0.3 else country


def _unknown_country(rng: Random) -> Exchange:
    pattern = rng.choice(CAPITAL_OF)
    country = made_up_word(rng).capitalize() + rng.choice(["ia", "land", "stan", "", "", "a"])
    return exchange(ask(rng, pattern, country=country), unknown.ANSWER, unknown.THOUGHT)
