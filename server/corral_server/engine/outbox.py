"""What the engine tells the server, and when: at once, or while cores are free for it.

A server and its callers on the same machine compute on the cores of the model. In the middle of a
step they take one from threads that wait for each other, so the step takes longer by all they do.
Between two steps only one thread works, and the others' cores are free: the tokens of a step
travel while those of the next are picked. What comes sooner than anybody could read travels
together.
"""

import math
import time
from collections.abc import Callable, Sequence

from corral_server.ipc.messages import Output, Report
from corral_server.request import Delta

# Tokens that follow each other faster than this travel together.
INTERVAL_S = 0.02


class Outbox:
    """Sends frames of reports, in the order in which they were added."""

    def __init__(
        self,
        send: Callable[[Sequence[Report]], None],
        *,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience_s`: tokens do not wait for steps that take longer."""
        self._send = send
        self._patience_s = patience_s
        self._clock = clock
        self._waiting: list[Report] = []
        self._is_urgent = False
        self._computed = self._sent = -math.inf
        self._step_s = math.inf

    def add(self, reports: Sequence[Report]) -> None:
        """Tokens of an answer that has begun may wait; with anything else all go that wait."""
        self._waiting += reports
        self._is_urgent = self._is_urgent or not all(map(_may_wait, reports))

    def step_computed(self) -> None:
        """Sends what waits, unless it will travel with the tokens of this step or, before anybody
        misses it, of the next. To be called when a step is computed and its tokens are not picked
        yet."""
        now = self._clock()
        self._step_s, self._computed = now - self._computed, now
        if not self._is_urgent and now + self._step_s > self._sent + INTERVAL_S:
            self.send()

    def send_urgent(self) -> None:
        """Sends what waits, if something of it may not wait for the next step."""
        if self._is_urgent or self._step_s > self._patience_s:
            self.send()

    def send(self) -> None:
        """Sends all that waits."""
        if not self._waiting:
            return
        reports, self._waiting, self._is_urgent = self._waiting, [], False
        self._sent = self._clock()
        self._send(reports)


def _may_wait(report: Report) -> bool:
    if not isinstance(report, Output):
        return False
    return isinstance(report.event, Delta) and report.event.completion_tokens > 1
