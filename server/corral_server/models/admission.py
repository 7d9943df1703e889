"""How many requests an engine would take now, counted where they come from.

The engine decides by itself, but not in the middle of a step; from here a caller hears at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from corral_server.errors import QueueFull


class Admission:
    """Counts the requests that are unfinished, at most as many as run and wait together."""

    def __init__(self) -> None:
        """Open to all until `limit` is told."""
        self._most: int | None = None
        self._max_waiting = 0
        self._unfinished: set[int] = set()
        self._wait_s: float | None = None

    def limit(self, *, slots: int, max_waiting: int) -> None:
        self._most = slots + max_waiting
        self._max_waiting = max_waiting

    @contextmanager
    def admit(self, call: int) -> Iterator[None]:
        """Counts `call` until the block ends or it is `finished`. Raises QueueFull."""
        if self._most is not None and len(self._unfinished) >= self._most:
            raise QueueFull.of(
                waiting=self._max_waiting, limit=self._max_waiting, wait_s=self._wait_s
            )
        self._unfinished.add(call)
        try:
            yield
        finally:
            self._unfinished.discard(call)

    def started(self, *, wait_s: float | None) -> None:
        """The engine took a request, and says how long one more would have to wait."""
        self._wait_s = wait_s or self._wait_s

    def finished(self, call: int) -> None:
        """The engine is through with `call`, though it is still being read."""
        self._unfinished.discard(call)
