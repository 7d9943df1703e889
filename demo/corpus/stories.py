"""Short stories of one plot: a hero finds something, gives it back, and wins a friend.

The same sentence patterns write the stories and judge them: `follows_grammar` accepts a text only
if every sentence is one of ours, in the order of the plot, about one hero, one friend, one thing.
"""

import re
from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import BOYS, GIRLS
from demo.corpus.phrase import ask, introduce

ANIMALS = """fox rabbit bear mouse cat dog duck frog hedgehog squirrel turtle lamb pony kitten
puppy""".split()
ADJECTIVES = "little small young brave kind clever curious shy happy gentle quiet cheerful".split()
THINGS = "ball kite book lantern key hat bell drum scarf basket ring flute map coin button".split()
COLORS = "red blue green yellow golden silver white purple".split()
WORDS = {
    "kind": ANIMALS,
    "friend_kind": ANIMALS,
    "adjective": ADJECTIVES,
    "mood": "sad worried lonely upset gloomy".split(),
    "thing": THINGS,
    "color": COLORS,
    "home": [
        "near a green hill", "by the river", "at the edge of the forest", "in a quiet valley",
        "next to an old mill", "close to the sea", "behind a tall mountain", "beside a wide lake",
    ],
    "hobby": [
        "to sing", "to climb trees", "to pick flowers", "to look at the clouds",
        "to run in the grass",
        "to count the stars", "to listen to the birds", "to dance in the rain", "to read old books",
    ],
    "place": ["forest", "meadow", "river", "market", "garden", "beach", "old bridge", "hill"],
    "weather": [
        "the sun was shining", "a soft wind was blowing", "the sky was blue",
        "the birds were singing",
        "the grass was still wet", "the air was fresh and cool",
    ],
    "spot": [
        "under a tree", "behind a big stone", "next to the path", "in the tall grass",
        "beside a bush", "on a wooden bench",
    ],
    "search": ["all morning", "all day", "since sunrise", "for many hours", "everywhere"],
    "game": [
        "hide and seek", "with a rope", "in the leaves", "near the water", "on the swing", "tag",
    ],
    "food": [
        "bread and honey", "sweet berries", "warm soup", "apple pie", "fresh milk",
        "nuts and cheese",
    ],
    "dream": [
        "new adventures", "the stars", "a big ship", "flying over the hills", "a land of flowers",
    ],
    "relative": ["mother", "father", "grandmother", "grandfather", "sister", "brother"],
}  # fmt: skip

PLOT = (
    (
        "Once upon a time, there was a {adjective} {kind} named {hero}.",
        "Once there was a {adjective} {kind} named {hero}.",
        "Long ago, there lived a {adjective} {kind} named {hero}.",
    ),
    (
        "{hero} lived in a small house {home}.",
        "{His} home was a cozy little house {home}.",
        "{hero} had a warm little house {home}.",
    ),
    (
        "Every day, {hero} liked {hobby}.",
        "More than anything else, {he} loved {hobby}.",
        "{hero} was always happy when {he} had time {hobby}.",
    ),
    (
        "One morning, {hero} went for a walk to the {place}.",
        "One day, {hero} decided to visit the {place}.",
        "One fine day, {he} packed some bread and walked to the {place}.",
    ),
    (
        "It was a lovely day, and {weather}.",
        "It was early, and {weather}.",
        "On the way, {weather}, and {he} felt very happy.",
    ),
    (
        "Suddenly, {he} saw a {color} {thing} {spot}.",
        "There, {spot}, {hero} found a {color} {thing}.",
        "After a while, {he} noticed a {color} {thing} {spot}.",
    ),
    (
        "{hero} picked up the {thing} and looked at it with big eyes.",
        "{He} took the {thing} in {his} hands and wondered who had lost it.",
        "The {thing} was beautiful, but it did not belong to {him}.",
    ),
    (
        "Then {he} heard someone crying not far away.",
        "At that moment, {he} heard a soft voice.",
        "{hero} walked on and soon {he} heard a quiet sound.",
    ),
    (
        "It was a {mood} {friend_kind} named {friend}.",
        "A {mood} {friend_kind} named {friend} was sitting all alone.",
        "There sat a {friend_kind} named {friend}, who looked very {mood}.",
    ),
    (
        "{friend} had lost a {color} {thing} and had looked for it {search}.",
        "{friend} told {him} about a lost {thing} and how long the search had been.",
        "{friend} said that the {color} {thing} was gone.",
    ),
    (
        "{hero} smiled and gave the {thing} back to {friend}.",
        "So {he} held out the {thing}, and {friend} took it with joy.",
        "{hero} showed the {thing} to {friend} and asked if this was the one.",
    ),
    (
        "{friend} was so happy that the tears were gone at once.",
        "{friend} laughed and thanked {him} again and again.",
        "With a big smile, {friend} jumped up and down.",
    ),
    (
        "The two played {game} until the sun went down.",
        "All afternoon, they played {game} together.",
        "After that, {hero} and {friend} played {game} for a long time.",
    ),
    (
        "When they got hungry, they shared {food}.",
        "Later, they sat down and ate {food}.",
        "{friend} had {food}, and there was enough for both of them.",
    ),
    (
        "In the evening, {hero} went home and told {his} {relative} everything.",
        "When the stars came out, {he} ran home to tell {his} {relative} about the day.",
        "At home, {his} {relative} listened to the whole story.",
    ),
    (
        "That night, {he} slept well and dreamed of {dream}.",
        "{hero} went to bed early and dreamed of {dream}.",
    ),
    (
        "From that day on, {hero} and {friend} were the best of friends.",
        "And so {hero} and {friend} became good friends.",
        "{hero} learned that a kind heart is the best way to find a friend.",
    ),
    ("The end.",),
)
PRONOUNS = {"he": ("he", "his", "him"), "she": ("she", "her", "her")}

TELL = (
    "[Tell me|Write|Make up|Give me|I want to hear|Can you tell me|Could you tell me|I would "
    "like to "
    "hear|Can you write|Please tell me|Read me|Create|Invent] a [short |little |nice |funny |"
    "bedtime "
    "|]story[| for children| for my kids|, please][.|?|]",
)
TELL_ABOUT = (
    "[Tell me|Write|Make up|Give me|I want to hear|Can you tell me|Could you tell me|I would "
    "like to "
    "hear|Can you write|Create|Invent] a [short |little |nice |bedtime |]story [about|of|with] "
    "{topic}[.|?|]",
    "[Story|A story|Short story] about {topic}[.|]",
    "[Do you know|Have you got] a story about {topic}?",
)
CONTINUE = (
    "[Continue|Go on with|Finish|Complete|Extend|Keep writing|Carry on] [this|the|my] story[:|.] "
    "{start}",
    "[What happens next in|How does] this story[?| go on?|:] {start}",
    "[Here is|This is] [the beginning|the start] of [a|my] story. [Continue it|Go on|Finish it]: "
    "{start}",
    "Story: {start}",
)
THOUGHT = "The user wants a story."
Cast = dict[str, str]


def tell(rng: Random, cast: Cast) -> list[str]:
    """The sentences of a whole story; `cast` may fix any of its slots."""
    is_girl = rng.random() < 0.5 if "hero" not in cast else cast["hero"] in GIRLS
    he, his, him = PRONOUNS["she" if is_girl else "he"]
    slots = {name: rng.choice(words) for name, words in WORDS.items()}
    slots |= {"hero": rng.choice(GIRLS if is_girl else BOYS), "he": he, "his": his, "him": him}
    slots |= {"He": he.capitalize(), "His": his.capitalize()} | cast
    slots["friend"] = rng.choice([name for name in GIRLS + BOYS if name != slots["hero"]])
    while slots["friend_kind"] == slots["kind"]:
        slots["friend_kind"] = rng.choice(ANIMALS)
    return [rng.choice(beat).format(**slots) for beat in PLOT]


def raw(rng: Random) -> str:
    """A story with no chat around it."""
    return " ".join(tell(rng, {}))


def sample(rng: Random) -> Exchange:
    roll = rng.random()
    cast: Cast = {}
    if roll < 0.35:
        sentences = tell(rng, cast)
        question = ask(rng, rng.choice(TELL))
    elif roll < 0.65:
        return sample_about(rng)
    else:
        sentences = tell(rng, cast)
        cut = rng.randint(1, 6)
        start = " ".join(sentences[:cut])
        question = introduce(rng, rng.choice(CONTINUE), start=start)
        sentences = sentences[cut:]
    return exchange(question, " ".join(sentences), THOUGHT)


def sample_about(rng: Random) -> Exchange:
    """A story about a hero whom the user names."""
    cast: Cast = {}
    topic = _topic(rng, cast)
    sentences = tell(rng, cast)
    question = ask(rng, rng.choice(TELL_ABOUT), topic=topic)
    return exchange(question, " ".join(sentences), THOUGHT)


def _topic(rng: Random, cast: Cast) -> str:
    roll = rng.random()
    if roll < 0.75:
        cast["kind"] = rng.choice(ANIMALS)
    if roll > 0.5:
        cast["hero"] = rng.choice(GIRLS + BOYS)
    kind, hero = cast.get("kind"), cast.get("hero")
    if kind is None:
        return str(hero)
    adjective = rng.choice(ADJECTIVES) if rng.random() < 0.4 else ""
    if adjective:
        cast["adjective"] = adjective
    phrase = f"a {adjective} {kind}" if adjective else f"a {kind}"
    return phrase if hero is None else f"{phrase} {rng.choice(['named', 'called'])} {hero}"


def follows_grammar(text: str, *, is_whole: bool = False) -> bool:
    """Whether every finished sentence is ours, in the order of the plot, with one cast throughout.

    A sentence cut off at the end is forgiven unless the story `is_whole`.
    """
    sentences = re.split(r"(?<=\.)\s+", text.strip())
    if not sentences[-1].endswith("."):
        if is_whole:
            return False
        sentences.pop()
    cast: Cast = {}
    position = -1
    for sentence in sentences:
        for beat, slots in _readings(sentence):
            fits = all(cast.get(name, word) == word for name, word in slots.items())
            if beat > position and fits and (beat == position + 1 or position < 0):
                cast |= slots
                position = beat
                break
        else:
            return False
    if "hero" in cast and cast["hero"] == cast.get("friend"):
        return False
    return bool(sentences) and (not is_whole or position == len(PLOT) - 1)


def _readings(sentence: str) -> list[tuple[int, Cast]]:
    found = ((beat, pattern.fullmatch(sentence)) for beat, pattern in _SENTENCES)
    return [(beat, _slots(match)) for beat, match in found if match]


def _slots(match: re.Match[str]) -> Cast:
    """What the sentence fixes for the rest of the story; pronouns are kept as the hero's gender."""
    slots = match.groupdict()
    for name in ("he", "He", "his", "His", "him"):
        word = slots.pop(name, None)
        if word:
            slots["gender"] = "he" if word.lower() in PRONOUNS["he"] else "she"
    if "hero" in slots:
        slots["gender"] = "she" if slots["hero"] in GIRLS else "he"
    return slots


def _compile(pattern: str) -> re.Pattern[str]:
    names = "|".join(GIRLS + BOYS)
    choices = {name: "|".join(map(re.escape, words)) for name, words in WORDS.items()}
    choices |= {"hero": names, "friend": names, "he": "he|she", "He": "He|She"}
    choices |= {"his": "his|her", "His": "His|Her", "him": "him|her"}
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{choices[name]})"

    escaped = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", group, escaped))


_SENTENCES = [
    (beat, _compile(pattern)) for beat, patterns in enumerate(PLOT) for pattern in patterns
]
