"""How many tokens per second, over the last seconds."""

import math

WINDOW_S = 10


class Throughput:
    """Counts in a ring of seconds, so it costs the same however much is counted."""

    def __init__(self) -> None:
        self._counts = [0] * WINDOW_S
        self._last = 0

    def add(self, count: int, now: float) -> None:
        self._forget(now)
        self._counts[self._last % WINDOW_S] += count

    def per_second(self, now: float) -> float:
        self._forget(now)
        return sum(self._counts) / WINDOW_S

    def _forget(self, now: float) -> None:
        second = math.floor(now)
        for passed in range(max(self._last + 1, second - WINDOW_S + 1), second + 1):
            self._counts[passed % WINDOW_S] = 0
        self._last = max(second, self._last)
