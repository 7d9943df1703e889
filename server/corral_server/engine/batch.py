"""The work of one step: what moves in the cache, and which sequence computes how many tokens."""

from dataclasses import dataclass, field

from corral_server.engine.host_cache import Entry
from corral_server.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class BatchItem:
    """`count` tokens of one sequence, from its first uncomputed one."""

    sequence: Sequence
    count: int

    @property
    def closes_gap(self) -> bool:
        """Whether this step brings the sequence its next token."""
        return self.count == self.sequence.gap


@dataclass(frozen=True, slots=True)
class Forget:
    """A slot drops its tokens from `start` up to `end`; None: all that follow."""

    slot: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A slot comes to hold the cells of another, from token `start` up to `end`."""

    source: int
    slot: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Save:
    """All that a slot holds is copied to host memory."""

    slot: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Restore:
    """An empty slot comes to hold what was saved."""

    entry: Entry
    slot: int


Operation = Forget | Share | Save | Restore


@dataclass(slots=True)
class Batch:
    """`operations` are carried out in order before `items` are computed."""

    operations: list[Operation] = field(default_factory=list)
    items: list[BatchItem] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        return sum(item.count for item in self.items)
