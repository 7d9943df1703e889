"""A call that wants vectors, and its share in the work of one step."""

from dataclasses import dataclass, field

from corral_server.config import Pooling
from corral_server.engine.pooling import Pool


@dataclass(slots=True, eq=False)
class EmbeddingJob:
    """`inputs` are token ids. The first `num_taken` of them are computed or being computed, the
    first `num_told` are told. `untold` are computed; `told_at`: when others were told last."""

    call: int
    inputs: list[list[int]]
    pooling: Pooling
    normalize: bool
    num_taken: int = 0
    num_told: int = 0
    untold: list["EmbeddingInput"] = field(default_factory=list)
    told_at: float = 0.0

    @property
    def next_input(self) -> list[int]:
        return self.inputs[self.num_taken]

    @property
    def has_more(self) -> bool:
        return self.num_taken < len(self.inputs)

    @property
    def is_computed(self) -> bool:
        return self.num_told + len(self.untold) == len(self.inputs)


@dataclass(slots=True, eq=False)
class EmbeddingInput:
    """An input being computed as llama.cpp's sequence `sequence`."""

    job: EmbeddingJob
    tokens: list[int]
    sequence: int
    pool: Pool
    num_computed: int = 0

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
