"""How many threads compute a step: all, or fewer where they stand in each other's way.

Threads that compute together wait for each other after every operation. In the shortest steps that
takes longer than they save; and where another model computes on the same cores, one thread of ours
that has to wait for its turn stops all others, again and again. It shows in the part of a step in
which the first thread computes: 0.96 and more, but 0.5 beside another model. Then fewer are tried.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from corral_server.llama.effort import Effort

# Longer steps are prompts: they gain by threads even so, and a bad trial would be felt.
MOST_TOKENS = 32

# Steps that tell how long one takes.
_SAMPLE = 3

# A first thread that computes for a smaller part of a step waits too much.
_BUSY = 0.85

# A trial has to gain so much to count; one step that much slower ends it.
_GAIN, _LOSS = 0.95, 1.25

# Steps between trials: after a change, and after trials that have changed nothing.
_SOON, _SELDOM = 8, 128


class Crew:
    """Chooses for steps of each number of tokens on its own."""

    def __init__(self, most: int) -> None:
        """`most`: threads that may compute."""
        self._most = most
        self._habits: dict[int, _Habit] = {}

    def size(self, num_tokens: int) -> int:
        """How many threads are to compute the next step."""
        return self._habit(num_tokens).next_size if self._chooses(num_tokens) else self._most

    def learn(self, num_tokens: int, effort: Effort) -> None:
        """What a step has taken with the threads `size` said."""
        if self._chooses(num_tokens):
            self._habit(num_tokens).learn(effort.took_s, effort.busy_s)

    def _chooses(self, num_tokens: int) -> bool:
        return self._most > 1 and num_tokens <= MOST_TOKENS

    def _habit(self, num_tokens: int) -> "_Habit":
        if num_tokens not in self._habits:
            self._habits[num_tokens] = _Habit(self._most, self._most)
        return self._habits[num_tokens]


@dataclass(slots=True)
class _Habit:
    """What is done with steps of one number of tokens. `wait`: steps until the next trial, or until
    a reason for one is looked for again."""

    most: int
    size: int
    wait: int = _SOON
    pause: int = _SOON
    trial: int | None = None
    went_down: bool = False
    took_s: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    busy: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    trial_s: list[float] = field(default_factory=list)

    @property
    def next_size(self) -> int:
        return self.size if self.trial is None else self.trial

    def learn(self, took_s: float, busy_s: float) -> None:
        if self.trial is not None:
            self._learn_trial(self.trial, took_s)
            return
        self.took_s.append(took_s)
        self.busy.append(busy_s / took_s)
        self.wait -= 1
        if self.wait <= 0:
            self.trial, self.wait = self._candidate(), _SAMPLE

    def _candidate(self) -> int | None:
        """Half as many or twice as many, in turn where there is reason for both."""
        down = self.size // 2 if self.size > 1 and median(self.busy) < _BUSY else None
        up = min(self.size * 2, self.most) if self.size < self.most else None
        self.went_down = up is None or (down is not None and not self.went_down)
        return down if self.went_down else up

    def _learn_trial(self, size: int, took_s: float) -> None:
        self.trial_s.append(took_s)
        own_s = median(self.took_s)
        if took_s < own_s * _LOSS and len(self.trial_s) < _SAMPLE:
            return
        if median(self.trial_s) < own_s * _GAIN:
            self.size, self.pause = size, _SOON
        else:
            self.pause = min(self.pause * 2, _SELDOM)
        self.trial, self.wait, self.trial_s = None, self.pause, []
