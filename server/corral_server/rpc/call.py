"""What a servicer knows of the call it serves. No transport shows through it."""

import logging
import time
from dataclasses import dataclass, field

_log = logging.getLogger("corral.call")
_MAX_NOTE = 128


@dataclass(slots=True)
class Call:
    """One call. `notes` go into its log line: names and counts, never a prompt or an answer.

    `deadline`: when its caller gives up, on the monotonic clock; None for never.
    """

    method: str
    peer: str
    deadline: float | None = None
    notes: dict[str, str | int] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    @property
    def time_left_s(self) -> float | None:
        """What is left until the deadline, 0 after it; None for ever."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    def log(self, outcome: str, *, level: int = logging.INFO) -> None:
        """The one line an operator sees of this call."""
        notes = "".join(f" {key}={str(value)[:_MAX_NOTE]}" for key, value in self.notes.items())
        took_ms = (time.monotonic() - self._started) * 1000
        _log.log(level, "%s %s %.1fms%s peer=%s", self.method, outcome, took_ms, notes, self.peer)
