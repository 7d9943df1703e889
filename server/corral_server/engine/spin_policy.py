"""Whether threads that compute together spin while they wait for each other, or soon sleep.

Who spins goes on at once. But whoever else wants the processors waits for those that spin, and they
for him. So they sleep soon where other engines compute, of which the server tells, and where the
first of them gets too little of a processor: that is 0.95 of a step and more where nothing else
computes, and half of it beside another program. Beside one, `tiny` brings a tenth more tokens then.
"""

import math
import time
from collections.abc import Callable

from corral_server.llama.effort import Effort

# It takes so much to tell: a process that starts takes a processor for 60 ms, too.
_LEAST_S, _LEAST_STEPS = 0.25, 3

# A first thread that has a processor for a smaller part of that is hindered.
_BUSY = 0.7

# How long they sleep soon then: at first, and at most, where each new attempt was in vain.
_FIRST_S, _LONGEST_S = 1.0, 32.0


class SpinPolicy:
    """For all that one process computes."""

    def __init__(
        self, be_brief: Callable[[bool], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`be_brief` hears whether threads are to sleep soon; at first they are not."""
        self._be_brief = be_brief
        self._clock = clock
        self._is_crowded = self._is_hindered = False
        self._changed = -math.inf
        self._pause_s = _FIRST_S
        self._forget()

    def crowd(self, is_crowded: bool) -> None:
        """Hears from the server whether other engines compute."""
        self._is_crowded = is_crowded
        self._forget()
        self._tell()

    def learn(self, effort: Effort) -> None:
        """Hears what a step took that several threads have computed."""
        if self._is_crowded:
            return
        if self._is_hindered:
            self._try_again()
            return
        self._took_s += effort.took_s
        self._busy_s += effort.busy_s
        self._steps += 1
        if self._took_s < _LEAST_S or self._steps < _LEAST_STEPS:
            return
        if self._busy_s < _BUSY * self._took_s:
            self._give_way()
        self._forget()

    def _give_way(self) -> None:
        in_vain = self._clock() - self._changed < self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_S) if in_vain else _FIRST_S
        self._change(True)

    def _try_again(self) -> None:
        if self._clock() - self._changed >= self._pause_s:
            self._change(False)

    def _change(self, is_hindered: bool) -> None:
        self._is_hindered, self._changed = is_hindered, self._clock()
        self._tell()

    def _tell(self) -> None:
        self._be_brief(self._is_crowded or self._is_hindered)

    def _forget(self) -> None:
        self._took_s = self._busy_s = 0.0
        self._steps = 0
