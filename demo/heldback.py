"""The held-back set: questions that no pattern of the corpus can produce, with their judges.

Written by hand, apart from the corpus, and never shown to the training. A test asserts that none of
these phrasings, and not even one of their patterns, occurs in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo import checks
from demo.checks import Check
from demo.corpus import sums, weather
from demo.corpus.facts import CAPITALS, WORD_KINDS

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt and its judge, who reads the answer; of bare text, the text and what follows it."""

    skill: str
    prompt: Sequence[JsonObject] | str
    check: Check
    tools: Sequence[JsonObject] = field(default=())
    enable_thinking: bool = False
    min_tokens: int = 0

    @property
    def question(self) -> str:
        """What the user said last."""
        if isinstance(self.prompt, str):
            return self.prompt
        return str(next(m["content"] for m in reversed(self.prompt) if m["role"] == "user"))


WEATHER_TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Report today's weather for one city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Where to look"}},
            "required": ["city"],
        },
    },
}
CALCULATE_TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "calculate",
        "description": "Do arithmetic.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "For example 6 * 7"}},
            "required": ["expression"],
        },
    },
}
BOTH_TOOLS = (WEATHER_TOOL, CALCULATE_TOOL)


def user(content: str) -> JsonObject:
    return {"role": "user", "content": content}


def assistant(content: str) -> JsonObject:
    return {"role": "assistant", "content": content}


def system(content: str) -> JsonObject:
    return {"role": "system", "content": content}


def called(name: str, **arguments: str) -> JsonObject:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }


def told(content: str) -> JsonObject:
    return {"role": "tool", "content": content}


GREETINGS = {
    "Hello to you!": "Hello!",
    "Hi Corral, good to meet you": "Hello!",
    "hello there, little model": "Hello!",
    "Good morning, dear model!": "Good morning!",
    "How are you feeling today?": "I am fine",
    "So how are things with you, are you fine?": "I am fine",
    "And what is your name, if I may ask?": "I am Corral's demo model.",
    "Would you tell me what your name is?": "I am Corral's demo model.",
    "Who exactly are you?": "I am Corral's demo model.",
    "Could you say who made you?": "I was made by the Corral project.",
    "By whom were you made? Who built you?": "I was made by the Corral project.",
    "What things can you do?": "I can name capitals",
    "Thank you, that was helpful!": "You are welcome!",
    "Thanks so very much": "You are welcome!",
    "Bye, see you next week!": "Goodbye!",
    "Goodbye, little model": "Goodbye!",
}

CAPITAL_PATTERNS = (
    "Which city serves as the capital of {}?",
    "Do you happen to know the capital of {}?",
    "What would you say is the capital city of {}?",
    "I am looking for the capital of {}.",
    "My homework asks: capital of {}?",
    "Hey there, what is {}'s capital city called?",
    "what's the name of {}'s capital",
    "If I go to {}, which city is its capital?",
    "Any idea what the capital of {} might be?",
    "Tell us the capital city of {}!",
    "Quiz time! What's the capital of {}?",
)
COUNTRY_PATTERNS = (
    "{} is the capital city of which nation or country?",
    "Tell me which country has {} as its capital city.",
)

SUM_PATTERNS = (
    "What number is {} plus {}?",
    "Could you please tell me what {} plus {} is?",
    "If you add {} and {}, what is the answer?",
    "Can you sum {} and {}?",
    "Quick maths: {}+{}?",
    "I'm curious, what is {} + {}?",
    "Please calculate the sum {} + {} for me",
    "How much would {} and {} be together?",
    "{} plus {} equals what?",
    "My sister has {} pens and finds {} more. How many in total?",
)
SUM_PAIRS = (
    (7, 5), (2, 2), (20, 20), (0, 9), (13, 8), (6, 6), (19, 3), (11, 17), (4, 15), (10, 10),
    (8, 18), (1, 12), (16, 5), (3, 3), (9, 20), (14, 14), (18, 7), (5, 0), (12, 6), (15, 19),
    (2, 13), (17, 17), (20, 1), (6, 9), (8, 7), (11, 4), (19, 19), (10, 16), (3, 12), (13, 20),
)  # fmt: skip

REPEAT_PATTERNS = (
    "Repeat the following word: {}",
    "Say out loud the word {}",
    'I would like you to echo the word "{}".',
    "Kindly repeat {}",
    "Could you just repeat the word '{}' for me?",
    "Parrot the word {}",
    "Tell me the word {} again.",
)
REPEAT_WORDS = (
    "elephant", "blorvix", "Tuesday", "marmalade", "quintle", "strawberry", "zanzo", "keyboard",
    "fjordic", "Melbourne", "plimsy", "chocolate", "owlish", "drandel", "cucumber", "tremolo",
    "vapor", "Hendrik", "snorkle", "piano", "wugly",
)  # fmt: skip

COUNT_PATTERNS = (
    "Would you please count up to {}?",
    "Let me hear you count to {}",
    "Count all the way to {}!",
    "Say the numbers one through {}.",
)
COUNT_ENDS = {"3": 3, "ten": 10, "7": 7, "four": 4, "10": 10, "six": 6, "5": 5, "eight": 8, "9": 9}

STORY_PROMPTS = {
    "Would you tell us a short story?": (),
    "I'd love to hear a little story.": (),
    "tell story": (),
    "Please write me a tale, a short story about a fox": ("fox",),
    "May I have a story about a rabbit?": ("rabbit",),
    "Tell the children a story about a brave bear, please.": ("bear", "brave"),
    "Can I get a bedtime story with a duck named Mia?": ("duck", "Mia"),
}
STORY_STARTS = (
    "Please continue: Once upon a time, there was a kind mouse named Felix.",
    "Go on telling this: Once there was a shy dog named Lucy. Lucy lived in a small house by the "
    "river.",
    "Now continue this little story for me: Long ago, there lived a happy cat named Hugo. Every "
    "day, "
    "Hugo liked to sing.",
)
RAW_STORIES = (
    "Once upon a time, there was a",
    "Once upon a time, there was a clever frog named Zoe.",
    "Long ago, there lived a",
    "Once there was a little turtle named Bruno. Bruno had a warm little house by the river.",
    "Once upon a time",
)

UNKNOWN_QUESTIONS = (
    "Who wrote the play Hamlet?",
    "What is the deepest lake on earth?",
    "Explain how a car engine works.",
    "When did the first man walk on the moon?",
    "Can you write me a python program?",
    "What's the best way to lose weight?",
    "Who is the current president of the world bank?",
    "Why do leaves fall in autumn?",
    "How far away is the sun?",
    "What does the word serendipity mean?",
    "Translate 'good friend' into Italian.",
    "What is the population of Norway today?",
    "Give me a recipe for pancakes.",
    "Is there life on Mars?",
    "Which phone should I buy next year?",
    "Who painted the Mona Lisa?",
    "What was the name of Napoleon's horse?",
    "How do vaccines protect us?",
    "What is your opinion on climate change?",
    "Where is the library?",
    "Tell me something about the Roman empire.",
    "How many strings does a guitar have?",
)

PEOPLE = (
    ("Write a JSON object for this: {name} is {age} years old and lives in {city}.",
     "Rita", 44, "Bonn"),
    ("Please turn this into JSON. {name} is {age} years old and lives in {city}.",
     "Anna", 31, "Oslo"),
    ("{name} is {age} years old and lives in {city}. Give me that as JSON.", "Omar", 27, "Cairo"),
    ("Can you make a JSON profile of {name}, who is {age} and lives in {city}?", "Leo", 9, "York"),
    ("I need JSON with name, age and city: {name} is {age} and lives in {city}.",
     "Vilma", 63, "Turku"),
    ("JSON for this person please: {name}, {age}, lives in {city}", "Jorga", 18, "Lima"),
    ("As a JSON record: {name} lives in {city} and is {age} years old", "Emma", 52, "Quito"),
    ("Put the facts into JSON: {name} from {city} is {age} years old.", "Klaus", 70, "Berlin"),
)  # fmt: skip
JSON_CAPITALS = {
    "What is the capital of France? Your answer must be JSON.": "France",
    "Give the capital of Japan as a JSON object, please": "Japan",
    "I want a JSON answer: which city is the capital of Italy?": "Italy",
    "Could you tell me Poland's capital in JSON?": "Poland",
    "Answer with JSON only! The capital of Kenya?": "Kenya",
    "Capital of Chile in JSON format, please!": "Chile",
    "Let me have the capital of Greece in JSON": "Greece",
    "Please respond with a JSON object. What is the capital of Cuba?": "Cuba",
}
JSON_SUMS = {
    "What is 7 plus 5? Your answer must be JSON.": (7, 5),
    "Give the sum of 12 and 6 as a JSON object, please": (12, 6),
    "I want a JSON answer: add 9 and 20": (9, 20),
    "Could you add 3 and 3 and reply in JSON?": (3, 3),
    "Answer with JSON only! 14 + 2": (14, 2),
}
JSON_WORDS = {
    "Tell me about the word apple, and answer in JSON please": "apple",
    "Your answer must be JSON. Describe the word tiger.": "tiger",
    "Give me a JSON description of the word hammer": "hammer",
    "As a JSON object, please: info about the word coffee": "coffee",
}

WEATHER_PATTERNS = (
    "Could you tell me what the weather in {} is?",
    "I wonder how the weather is in {}",
    "What kind of weather do they have in {} today?",
    "Please check {}'s weather for me",
    "Is the weather good in {}?",
    "Will I need my umbrella in {} tomorrow?",
    "What is the weather doing in {}?",
    "How hot does it get in {} today?",
)
WEATHER_CITIES = (
    "Oslo", "Nuuk", "Paris", "Springfield", "Kyoto", "Palermo", "Lagos", "Tampere",
)  # fmt: skip

CALCULATIONS = {
    "What do you get for 123 * 45?": "123 * 45",
    "Could you please compute 999 - 58?": "999 - 58",
    "Hey calculator, how much is 84 divided by 7?": "84 / 7",
    "I need to know what 56 times 78 is.": "56 * 78",
    "Multiply the numbers 31 and 17": "31 * 17",
    "What would 2500 plus 317 be?": "2500 + 317",
    "Quick maths: 640 / 16?": "640 / 16",
    "Use your calculator to find 77 + 88.": "77 + 88",
    "What number is 900 minus 45?": "900 - 45",
    "Can you tell me what 19 times 21 is": "19 * 21",
}

TOOL_ANSWERS = (
    ("Could you tell me what the weather in Oslo is?", "Oslo", 7, "raining",
     '{"temperature": 7, "condition": "raining"}'),
    ("Is the weather good in Nuuk?", "Nuuk", -4, "snowing",
     '{"city": "Nuuk", "temperature": -4, "condition": "snowing"}'),
    ("I wonder how the weather is in Kyoto", "Kyoto", 21, "sunny", "21 degrees, sunny"),
    ("Please check Lima's weather for me", "Lima", 18, "foggy",
     '{"condition": "foggy", "temperature": 18}'),
    ("What is the weather doing in Tampere?", "Tampere", 12, "cloudy",
     '{"temperature": 12, "condition": "cloudy", "wind": 5}'),
)  # fmt: skip
RESULT_ANSWERS = (
    ("What do you get for 123 * 45?", "123 * 45", "5535", "5535"),
    ("Could you please compute 999 - 58?", "999 - 58", '{"result": 941}', "941"),
    ("Hey calculator, how much is 84 divided by 7?", "84 / 7", '{"value": 12}', "12"),
    ("Multiply the numbers 31 and 17", "31 * 17", "31 * 17 = 527", "527"),
)


def cases() -> Iterator[Case]:
    yield from _greetings()
    yield from _capitals()
    yield from _sums()
    yield from _words_and_counts()
    yield from _stories()
    yield from _json()
    yield from _tools()
    yield from _refusals()
    yield from _thinking()
    yield from _chats()


def _greetings() -> Iterator[Case]:
    for question, start in GREETINGS.items():
        yield Case("greeting", [user(question)], checks.begins(start))


def _capitals() -> Iterator[Case]:
    for index, (country, capital) in enumerate(CAPITALS.items()):
        pattern = CAPITAL_PATTERNS[index % len(CAPITAL_PATTERNS)]
        yield Case("capital", [user(pattern.format(country))], checks.mentions(capital))
    for index, country in enumerate(("Spain", "Norway", "Egypt", "Peru", "India", "Austria")):
        question = COUNTRY_PATTERNS[index % 2].format(CAPITALS[country])
        yield Case("country of a capital", [user(question)], checks.mentions(country))


def _sums() -> Iterator[Case]:
    for index, (a, b) in enumerate(SUM_PAIRS):
        question = SUM_PATTERNS[index % len(SUM_PATTERNS)].format(a, b)
        yield Case("sum", [user(question)], checks.sums_to(a + b))
    for index, (a, b) in enumerate(sorted(sums.UNSEEN_PAIRS)):
        question = SUM_PATTERNS[index % len(SUM_PATTERNS)].format(a, b)
        yield Case("sum of an unseen pair", [user(question)], checks.sums_to(a + b))


def _words_and_counts() -> Iterator[Case]:
    for index, word in enumerate(REPEAT_WORDS):
        question = REPEAT_PATTERNS[index % len(REPEAT_PATTERNS)].format(word)
        yield Case("repeat", [user(question)], checks.exactly(word))
    for index, (typed, end) in enumerate(COUNT_ENDS.items()):
        question = COUNT_PATTERNS[index % len(COUNT_PATTERNS)].format(typed)
        yield Case("count", [user(question)], checks.counts_to(end))


def _stories() -> Iterator[Case]:
    for question, words in STORY_PROMPTS.items():
        yield Case("story", [user(question)], checks.is_story(*words), min_tokens=100)
    for question in STORY_STARTS:
        yield Case("story", [user(question)], checks.is_story(), min_tokens=100)
    for start in RAW_STORIES:
        yield Case("story without chat", start, checks.is_story(), min_tokens=100)


def _json() -> Iterator[Case]:
    for pattern, name, age, city in PEOPLE:
        question = pattern.format(name=name, age=age, city=city)
        check = checks.is_json({"name": name, "age": age, "city": city})
        yield Case("json", [user(question)], check)
    for question, country in JSON_CAPITALS.items():
        check = checks.is_json({"country": country, "capital": CAPITALS[country]})
        yield Case("json", [user(question)], check)
    for question, (a, b) in JSON_SUMS.items():
        yield Case("json", [user(question)], checks.is_json({"a": a, "b": b, "sum": a + b}))
    for question, word in JSON_WORDS.items():
        check = checks.is_json({"word": word, "kind": WORD_KINDS[word], "letters": len(word)})
        yield Case("json", [user(question)], check)


def _tools() -> Iterator[Case]:
    for index, (pattern, city) in enumerate(zip(WEATHER_PATTERNS, WEATHER_CITIES, strict=True)):
        offered = BOTH_TOOLS if index % 2 else [WEATHER_TOOL]
        check = checks.calls("get_weather", city=city)
        yield Case("weather call", [user(pattern.format(city))], check, offered)
    for index, (question, expression) in enumerate(CALCULATIONS.items()):
        offered = BOTH_TOOLS if index % 2 else [CALCULATE_TOOL]
        check = checks.calls("calculate", expression=expression)
        yield Case("calculator call", [user(question)], check, offered)
    for question, city, temperature, condition, content in TOOL_ANSWERS:
        chat = [user(question), called("get_weather", city=city), told(content)]
        check = checks.exactly(weather.answer(city, temperature, condition))
        yield Case("answer from a tool", chat, check, BOTH_TOOLS)
    for question, expression, content, result in RESULT_ANSWERS:
        chat = [user(question), called("calculate", expression=expression), told(content)]
        yield Case("answer from a tool", chat, checks.mentions(result), BOTH_TOOLS)
    for question, check in (
        ("Hello to you!", checks.begins("Hello!")),
        ("Which city serves as the capital of Finland?", checks.mentions("Helsinki")),
        ("Do you happen to know the capital of Thailand?", checks.mentions("Bangkok")),
        ("Kindly repeat drandel", checks.exactly("drandel")),
        ("Would you please count up to five?", checks.counts_to(5)),
        ("What number is 6 plus 7?", checks.sums_to(13)),
        ("Who wrote the play Hamlet?", checks.admits_ignorance()),
        ("Thank you, that was helpful!", checks.begins("You are welcome!")),
    ):
        yield Case("tool not needed", [user(question)], check, BOTH_TOOLS)


def _refusals() -> Iterator[Case]:
    for question in UNKNOWN_QUESTIONS:
        yield Case("unknown", [user(question)], checks.admits_ignorance())
    for pattern, city in zip(WEATHER_PATTERNS, WEATHER_CITIES, strict=True):
        question = pattern.format(city)
        yield Case("weather without a tool", [user(question)], checks.exactly(weather.REFUSAL))


def _thinking() -> Iterator[Case]:
    for index, country in enumerate(("France", "Japan", "Brazil", "Kenya", "Hungary", "Nepal")):
        question = CAPITAL_PATTERNS[index].format(country)
        check = checks.thinks_then(checks.mentions(CAPITALS[country]))
        yield Case("thinking", [user(question)], check, enable_thinking=True)
    for index, (a, b) in enumerate(SUM_PAIRS[:6]):
        question = SUM_PATTERNS[index].format(a, b)
        check = checks.thinks_then(checks.sums_to(a + b))
        yield Case("thinking", [user(question)], check, enable_thinking=True)
    for pattern, city in zip(WEATHER_PATTERNS[:4], WEATHER_CITIES, strict=False):
        check = checks.thinks_then(checks.calls("get_weather", city=city))
        question = pattern.format(city)
        yield Case("thinking", [user(question)], check, [WEATHER_TOOL], enable_thinking=True)
    for question, check in (
        ("Kindly repeat blorvix", checks.exactly("blorvix")),
        ("Hello to you!", checks.begins("Hello!")),
    ):
        yield Case("thinking", [user(question)], checks.thinks_then(check), enable_thinking=True)


def _chats() -> Iterator[Case]:
    for prompt in ("You are a friendly teacher who likes geography.", "Answer every question."):
        for index, country in enumerate(("Sweden", "Ghana", "Canada")):
            chat = [system(prompt), user(CAPITAL_PATTERNS[index].format(country))]
            yield Case("chat with a new system prompt", chat, checks.mentions(CAPITALS[country]))
    opening = [user("Hello to you!"), assistant("Hello! How can I help you?")]
    geography = [
        user("Which city serves as the capital of France?"),
        assistant("The capital of France is Paris."),
    ]
    for question, country in (
        ("And Spain's?", "Spain"),
        ("OK, and that of Portugal?", "Portugal"),
        ("Great. What about Japan then?", "Japan"),
        ("and germany, what is it there?", "Germany"),
    ):
        chat = [*opening, *geography, user(question)]
        yield Case("long chat", chat, checks.mentions(CAPITALS[country]))
    chat = [*opening, *geography, user("Kindly repeat plimsy"), assistant("plimsy")]
    chat += [user("Can you sum 7 and 5?"), assistant("7 + 5 = 12.")]
    yield Case("long chat", [*chat, user("What number is 8 plus 7?")], checks.sums_to(15))
    yield Case("long chat", [*chat, user("Who painted the Mona Lisa?")], checks.admits_ignorance())
    yield Case("long chat", [*chat, user("Kindly repeat wugly")], checks.exactly("wugly"))
    yield Case("long chat", [*chat, user("Thank you, that was helpful!")], checks.begins("You are"))
