"""Mixes the skills into conversations, in the proportions that the training sees.

Three lessons: the plain one teaches the skills, the hard one disturbs the user's words and dwells
on what is learnt slowly, the hardest one disturbs even verbs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from demo.corpus import (
    calculator,
    capitals,
    counting,
    disturb,
    greeting,
    json_answers,
    repeat,
    stories,
    sums,
    tools,
    unknown,
    weather,
)
from demo.corpus.dialogue import Conversation, Exchange, Message, Tool

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are Corral's demo model.",
    "You are a helpful, honest and friendly assistant.",
    "Be brief.",
    "You are a polite assistant. Answer in short sentences.",
    "Answer the user's questions.",
    "You are an assistant that can call tools.",
    "Be helpful and concise.",
    "You are a small language model.",
    "Today is a nice day. Help the user.",
)
WEIGHTS = {
    "capitals": 17,
    "sums": 15,
    "repeat": 15,
    "counting": 5,
    "greeting": 8,
    "stories": 6,
    "json_answers": 13,
    "weather": 6,
    "calculator": 5,
    "unknown": 13,
}
HARD_WEIGHTS = WEIGHTS | {"sums": 26, "json_answers": 16, "countries": 5, "strange": 7, "tales": 6}
WITH_TOOLS = {"weather": 38, "calculator": 34, "stories": 1}
RAW_STORY_SHARE = 0.06
LONG_SHARE = 0.012


@dataclass(frozen=True, slots=True)
class Lesson:
    """How often each skill comes, the share of questions that are disturbed, and how deeply."""

    weights: Mapping[str, int]
    disturbed_share: float
    disturbs_verbs: bool = False


PLAIN = Lesson(WEIGHTS, 0.0)
HARD = Lesson(HARD_WEIGHTS, 0.6)
HARDEST = Lesson(HARD_WEIGHTS | {"repeat": 22, "greeting": 11}, 0.6, disturbs_verbs=True)


def documents(seed: int, lesson: Lesson = PLAIN) -> Iterator[Conversation | str]:
    """Conversations and bare stories without end; the same for the same seed."""
    rng = Random(seed)
    while True:
        is_raw = rng.random() < RAW_STORY_SHARE
        yield stories.raw(rng) if is_raw else conversation(rng, lesson)


def conversation(rng: Random, lesson: Lesson) -> Conversation:
    offered = tools.sample(rng) if rng.random() < 0.3 else []
    weights = {**lesson.weights, **WITH_TOOLS} if offered else lesson.weights
    messages: list[Message] = []
    if rng.random() < 0.4:
        messages.append(Message("system", rng.choice(SYSTEM_PROMPTS)))
    skill = ""
    for _ in range(_num_exchanges(rng)):
        follow_up = skill in ("capitals", "sums", "repeat", "counting", "weather", "calculator")
        if not follow_up or rng.random() < 0.6:
            follow_up = False
            skill = rng.choices(list(weights), weights=list(weights.values()))[0]
        question, *rest = _exchange(rng, skill, offered, follow_up)
        if lesson.disturbed_share and rng.random() < lesson.disturbed_share:
            depth = _disturbed_depth(skill, question.content)
            if skill == "repeat" and lesson.disturbs_verbs:
                depth = disturb.VERB
            question = replace(question, content=disturb.disturb(rng, question.content, depth))
        messages += [question, *rest]
    enable_thinking = rng.random() < 0.25
    return Conversation(_forget_thoughts(rng, messages, enable_thinking), offered, enable_thinking)


def _num_exchanges(rng: Random) -> int:
    if rng.random() < LONG_SHARE:
        return rng.randint(10, 30)
    return rng.choice([1, 1, 1, 1, 1, 2, 2, 3, 4, 5])


def _exchange(rng: Random, skill: str, offered: list[Tool], follow_up: bool) -> Exchange:
    match skill:
        case "capitals":
            return capitals.sample(rng, follow_up)
        case "sums":
            return sums.sample(rng, follow_up)
        case "repeat":
            return repeat.sample(rng, follow_up)
        case "counting":
            return counting.sample(rng, follow_up)
        case "greeting":
            return greeting.sample(rng)
        case "stories":
            return stories.sample(rng)
        case "json_answers":
            return json_answers.sample(rng)
        case "weather":
            return weather.sample(rng, offered, follow_up)
        case "calculator":
            return calculator.sample(rng, offered, follow_up)
        case "tales":
            return stories.sample_about(rng)
        case "countries":
            return capitals.sample_country(rng)
        case "strange":
            return unknown.sample_strange(rng)
        case _:
            return unknown.sample(rng)


def _disturbed_depth(skill: str, question: str) -> int:
    """A story's beginning and a bare word to repeat must stay as they are."""
    if skill in ("stories", "tales") or (skill == "repeat" and " word" not in question):
        return disturb.BEFORE
    return disturb.AROUND if skill in ("greeting", "repeat") else disturb.INSIDE


def _forget_thoughts(rng: Random, messages: list[Message], thinking: bool) -> list[Message]:
    """Clients may or may not send the thoughts of earlier turns back; both must work."""
    keeps = thinking and rng.random() < 0.5
    last = len(messages) - 1
    return [
        m if keeps or (thinking and i == last) else replace(m, thought="")
        for i, m in enumerate(messages)
    ]
