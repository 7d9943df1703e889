"""What the load generator asks of a server, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

DEADLINE_S = 300.0

# Told, at each message that brings tokens, how many of the answer have come so far.
Hear = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Tokens to go on from. `sampled`: with the server's default sampling, else greedily.

    `keep`: whether the tokens of the answer are wanted, for the turn after it.
    """

    prompt: list[int]
    max_tokens: int
    sampled: bool
    keep: bool


@dataclass(slots=True, kw_only=True)
class Ending:
    """How a call ended. `tokens`: the answer's, where they were to be kept.

    `refusal`: the typed reason of a server that was full; `error`: why this is no answer.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: list[int] = field(default_factory=list)
    refusal: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What came of texts: vectors, and the tokens of the texts as the server counted them."""

    count: int
    tokens: int
    error: str = ""


class Target(Protocol):
    """A server under load. Nothing raises: what goes wrong stands in what is returned."""

    async def answer(self, ask: Ask, hear: Hear) -> Ending: ...

    async def embed(self, texts: list[str]) -> Vectors:
        """The vectors of all texts, with one call."""

    async def close(self) -> None: ...
