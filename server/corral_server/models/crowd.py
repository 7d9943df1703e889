"""Which engines compute, so that each knows whether it shares the processors with others.

Threads that have the processors to themselves wait for each other awake, since they wait for
microseconds. Beside others they keep these from computing, and their own like with them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from corral_server.processors import usable_processors

# Who has had something to do soon has more: nobody is told of pauses shorter than that.
_LINGER_S = 1.0


class Member(Protocol):
    """An engine. It computes on so many `threads`."""

    @property
    def threads(self) -> int: ...

    def crowd(self, is_crowded: bool) -> None:
        """Hears whether those who compute have more threads than there are processors."""


class Crowd:
    """Everybody who computes is told, when that changes."""

    def __init__(self, *, processors: int | None = None, linger_s: float = _LINGER_S) -> None:
        """`processors`: by default those this process may use."""
        self._processors = processors or usable_processors()
        self._linger_s = linger_s
        self._work: Counter[Member] = Counter()
        self._leaving: dict[Member, asyncio.TimerHandle] = {}

    @property
    def is_crowded(self) -> bool:
        return len(self._work) > 1 and sum(m.threads for m in self._work) > self._processors

    @contextmanager
    def work(self, member: Member) -> Iterator[None]:
        """`member` computes in this block, and maybe in others at the same time."""
        if (timer := self._leaving.pop(member, None)) is not None:
            timer.cancel()
        self._work[member] += 1
        self.tell()
        try:
            yield
        finally:
            self._work[member] -= 1
            if not self._work[member]:
                loop = asyncio.get_running_loop()
                self._leaving[member] = loop.call_later(self._linger_s, self._leave, member)

    def tell(self) -> None:
        """To be called when a member's threads have changed."""
        is_crowded = self.is_crowded
        for member in self._work:
            member.crowd(is_crowded)

    def _leave(self, member: Member) -> None:
        del self._leaving[member], self._work[member]
        self.tell()
