"""Mixes the skills into conversations, in the proportions that the training sees."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from demo.corpus import (
    calculator,
    capitals,
    counting,
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
WEIGHTS_WITH_TOOLS = WEIGHTS | {"weather": 38, "calculator": 34, "stories": 1}
RAW_STORY_SHARE = 0.06
LONG_SHARE = 0.012


def documents(seed: int) -> Iterator[Conversation | str]:
    """Conversations and bare stories without end; the same for the same seed."""
    rng = Random(seed)
    while True:
        yield stories.raw(rng) if rng.random() < RAW_STORY_SHARE else conversation(rng)


def conversation(rng: Random) -> Conversation:
    offered = tools.sample(rng) if rng.random() < 0.3 else []
    weights = WEIGHTS_WITH_TOOLS if offered else WEIGHTS
    messages: list[Message] = []
    if rng.random() < 0.4:
        messages.append(Message("system", rng.choice(SYSTEM_PROMPTS)))
    skill = ""
    for _ in range(_num_exchanges(rng)):
        follow_up = skill in ("capitals", "sums", "repeat", "counting", "weather", "calculator")
        if not follow_up or rng.random() < 0.6:
            follow_up = False
            skill = rng.choices(list(weights), weights=list(weights.values()))[0]
        messages.extend(_exchange(rng, skill, offered, follow_up))
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
        case _:
            return unknown.sample(rng)


def _forget_thoughts(rng: Random, messages: list[Message], thinking: bool) -> list[Message]:
    """Clients may or may not send the thoughts of earlier turns back; both must work."""
    keeps = thinking and rng.random() < 0.5
    last = len(messages) - 1
    return [
        m if keeps or (thinking and i == last) else replace(m, thought="")
        for i, m in enumerate(messages)
    ]
