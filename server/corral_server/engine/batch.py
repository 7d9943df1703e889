"""The work of one step: which sequence computes how many of its tokens."""

from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Batch:
    """`freed` slots are emptied before `items` are computed."""

    freed: list[int] = field(default_factory=list)
    items: list[BatchItem] = field(default_factory=list)
