"""The half of an engine that makes vectors: hears calls, computes steps."""

from typing import Protocol

from corral_server.config import Pooling
from corral_server.engine.embedding_inputs import InputEncoder
from corral_server.engine.embedding_job import EmbeddingBatch, EmbeddingJob
from corral_server.engine.embedding_scheduler import EmbeddingScheduler
from corral_server.engine.pooling import Vectors
from corral_server.ipc.messages import Embed, Embedded


class Embedder(Protocol):
    """What computes: llama.cpp, or a script in tests."""

    def execute(self, batch: EmbeddingBatch) -> list[Vectors]: ...


class Embeddings:
    """`pooling` is that of calls which name none."""

    def __init__(
        self,
        scheduler: EmbeddingScheduler,
        embedder: Embedder,
        encoder: InputEncoder,
        *,
        pooling: Pooling,
    ) -> None:
        self._scheduler = scheduler
        self._embedder = embedder
        self._encoder = encoder
        self._pooling = pooling

    @property
    def has_work(self) -> bool:
        return self._scheduler.has_work

    def submit(self, embed: Embed) -> None:
        """Raises QueueFull, InvalidFields or ContextLengthExceeded."""
        self._scheduler.check_room()
        inputs = self._encoder.encode(embed.inputs)
        pooling = embed.pooling or self._pooling
        self._scheduler.add(EmbeddingJob(embed.call, inputs, pooling, embed.normalize))

    def cancel(self, call: int) -> None:
        """Forgets a call; ignores an unknown one."""
        self._scheduler.cancel(call)

    def step(self) -> list[Embedded]:
        """One batch; what it completed."""
        batch = self._scheduler.schedule()
        return self._scheduler.update(batch, self._embedder.execute(batch))
