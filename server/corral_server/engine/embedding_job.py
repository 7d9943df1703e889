"""A call that wants vectors, and its share in the work of one step."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from corral_server.config import Pooling
from corral_server.engine.pooling import Pool


@dataclass(slots=True, eq=False)
class EmbeddingJob:
    """`inputs` are token ids, known by their number. `waiting` are not taken yet, in order; the
    first `num_told` are told. `untold` are computed; `told_at`: when others were told last."""

    call: int
    inputs: list[list[int]]
    pooling: Pooling
    normalize: bool
    num_told: int = 0
    untold: dict[int, "EmbeddingInput"] = field(default_factory=dict)
    told_at: float = 0.0
    waiting: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.inputs)))

    @property
    def has_more(self) -> bool:
        return bool(self.waiting)

    @property
    def is_computed(self) -> bool:
        return self.num_told + len(self.untold) == len(self.inputs)

    @property
    def has_news(self) -> bool:
        """Whether the next that is to be told is computed."""
        return self.num_told in self.untold

    def next_lengths(self, most: int) -> list[int]:
        """Tokens of the first inputs that wait."""
        return [len(self.inputs[number]) for number in islice(self.waiting, most)]

    def take(self, positions: Sequence[int]) -> list[int]:
        """The numbers of inputs at ascending `positions` among those that wait; they do no more."""
        first = [self.waiting.popleft() for _ in range(positions[-1] + 1)]
        taken = [first[position] for position in positions]
        self.waiting.extendleft(reversed([number for number in first if number not in taken]))
        return taken

    def tell(self) -> list["EmbeddingInput"]:
        """What is computed of those that are to be told next, which are told now."""
        told = [self.untold.pop(number) for number in self._news()]
        self.num_told += len(told)
        return told

    def _news(self) -> list[int]:
        behind = next(n for n in count(self.num_told) if n not in self.untold)
        return list(range(self.num_told, behind))


@dataclass(slots=True, eq=False)
class EmbeddingInput:
    """Input `number` of `job`, being computed as llama.cpp's sequence `sequence`."""

    job: EmbeddingJob
    number: int
    sequence: int
    pool: Pool
    num_computed: int = 0

    @property
    def tokens(self) -> list[int]:
        return self.job.inputs[self.number]

    @property
    def gap(self) -> int:
        return len(self.tokens) - self.num_computed


@dataclass(frozen=True, slots=True)
class EmbeddingItem:
    """`count` tokens of one input, from its first uncomputed one."""

    input: EmbeddingInput
    count: int


@dataclass(slots=True)
class EmbeddingBatch:
    """`freed` sequences are emptied before `items` are computed; there may be none."""

    freed: list[int] = field(default_factory=list)
    items: list[EmbeddingItem] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        return sum(item.count for item in self.items)
