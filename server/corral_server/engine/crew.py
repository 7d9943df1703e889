"""How many threads compute a step: as many as were fastest lately.

Threads that compute together wait for each other after every operation. In short steps that takes
longer than they save; and where another model computes on the same cores, one thread of ours that
has to wait for its turn stops all others, again and again. Nobody knows beforehand, so it is tried
out, which costs a few steps of every few hundred.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

# Longer steps are prompts: they always gain by more threads, and a bad trial would be felt.
MOST_TOKENS = 32

# Steps that tell how long one takes.
_SAMPLE = 3

# Steps between trials: after a change, and after trials that have changed nothing.
_SOON, _SELDOM = 8, 256

# A trial has to gain so much to count.
_GAIN = 0.95

# Beyond these parts of what a step took when its threads were chosen, something else has changed:
# another model has begun to compute, or has ended.
_SLOWER, _FASTER = 1.25, 0.8


class Crew:
    """Chooses for steps of each number of tokens on its own."""

    def __init__(self, most: int) -> None:
        """`most`: threads that may compute."""
        self._most = most
        self._habits: dict[int, _Habit] = {}

    def size(self, num_tokens: int) -> int:
        """How many threads are to compute the next step."""
        if num_tokens > MOST_TOKENS or self._most == 1:
            return self._most
        return self._habit(num_tokens).next_size

    def learn(self, num_tokens: int, took_s: float) -> None:
        """A step has taken `took_s` with the threads `size` said."""
        if num_tokens <= MOST_TOKENS and self._most > 1:
            self._habit(num_tokens).learn(took_s)

    def _habit(self, num_tokens: int) -> "_Habit":
        if num_tokens not in self._habits:
            self._habits[num_tokens] = _Habit(self._most)
        return self._habits[num_tokens]


@dataclass(slots=True)
class _Habit:
    """What is done with steps of one number of tokens. `steps`: until the next trial. `usual_s`: a
    step's time when `size` was chosen."""

    most: int
    size: int = 0
    trial: int | None = None
    steps: int = _SOON
    pause: int = _SOON
    goes_down: bool = True
    usual_s: float = 0.0
    own_s: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    trial_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.most

    @property
    def next_size(self) -> int:
        return self.size if self.trial is None else self.trial

    def learn(self, took_s: float) -> None:
        if self.trial is None:
            self._learn_usual(took_s)
        else:
            self._learn_trial(took_s)

    def _learn_usual(self, took_s: float) -> None:
        self.own_s.append(took_s)
        self.steps -= 1
        if len(self.own_s) < _SAMPLE:
            return
        now_s = median(self.own_s)
        if self.usual_s and not _FASTER < now_s / self.usual_s < _SLOWER:
            self.usual_s = now_s
            self.steps, self.pause = 0, _SOON
        if self.steps <= 0:
            self._begin_trial()

    def _begin_trial(self) -> None:
        """Tries half as many and twice as many in turn."""
        down, up = max(self.size // 2, 1), min(self.size * 2, self.most)
        candidates = [down, up] if self.goes_down else [up, down]
        self.goes_down = not self.goes_down
        self.trial = next(size for size in candidates if size != self.size)
        self.trial_s = []

    def _learn_trial(self, took_s: float) -> None:
        assert self.trial is not None
        self.trial_s.append(took_s)
        own_s = median(self.own_s)
        # One step that is much slower says enough.
        if took_s < own_s * _SLOWER and len(self.trial_s) < _SAMPLE:
            return
        if median(self.trial_s) < own_s * _GAIN:
            self.size, self.pause = self.trial, _SOON
            self.own_s = deque(self.trial_s, maxlen=_SAMPLE)
        else:
            self.pause = min(self.pause * 2, _SELDOM)
        self.trial, self.steps, self.usual_s = None, self.pause, median(self.own_s)
