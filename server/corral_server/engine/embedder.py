"""Computes the vectors of a batch's tokens with llama.cpp."""

from collections.abc import Callable

from corral_server.engine.embedding_job import EmbeddingBatch, EmbeddingJob
from corral_server.engine.pooling import Vectors
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import LlamaContext
from corral_server.llama.process import give_back_memory


class LlamaEmbedder:
    """Owns the rows of the batch; borrows the context."""

    def __init__(self, context: LlamaContext, *, batch_tokens: int, spin: SpinPolicy) -> None:
        self._context = context
        self._spin = spin
        self._rows = LlamaBatch(batch_tokens)

    def execute(self, batch: EmbeddingBatch) -> list[Vectors]:
        """The vectors of each item's tokens, valid until the next call. Raises DecodeFailed."""
        if self._context.has_cache:
            for sequence in batch.freed:
                self._context.forget(sequence)
        if not batch.items:
            return []
        self._rows.clear()
        for item in batch.items:
            start = item.input.num_computed
            self._rows.add(
                item.input.tokens[start : start + item.count],
                position=start,
                sequence=item.input.sequence,
                wanted=True,
            )
        self._rows.want_all()
        effort = self._context.decode(self._rows)
        if self._context.threads > 1:
            self._spin.learn(effort)
        return self._split(batch)

    def _split(self, batch: EmbeddingBatch) -> list[Vectors]:
        vectors = self._context.token_vectors(batch.num_tokens)
        parts: list[Vectors] = []
        start = 0
        for item in batch.items:
            parts.append(vectors[start : start + item.count])
            start += item.count
        return parts


class DirectEmbedder:
    """A context for each call, freed after it: the scheduler hands out one call at a time."""

    def __init__(
        self, open_context: Callable[[int], LlamaContext], *, batch_tokens: int, spin: SpinPolicy
    ) -> None:
        """`open_context` makes one for so many tokens."""
        self._open_context = open_context
        self._batch_tokens = batch_tokens
        self._spin = spin
        self._call: int | None = None
        self._context: LlamaContext | None = None
        self._embedder: LlamaEmbedder | None = None

    def execute(self, batch: EmbeddingBatch) -> list[Vectors]:
        """As LlamaEmbedder does; a batch of nothing ends the call before."""
        job = batch.items[0].input.job if batch.items else None
        if job is None or job.call != self._call:
            self.close()
            batch.freed.clear()
        if job is None:
            return []
        if self._embedder is None:
            self._embedder = self._open(job)
        return self._embedder.execute(batch)

    def _open(self, job: EmbeddingJob) -> LlamaEmbedder:
        longest = max(map(len, job.inputs))
        self._context = self._open_context(max(longest, self._batch_tokens))
        self._call = job.call
        return LlamaEmbedder(self._context, batch_tokens=self._batch_tokens, spin=self._spin)

    def close(self) -> None:
        """Frees the context, if there is one."""
        if self._context is not None:
            self._context.close()
            give_back_memory()
        self._call = self._context = self._embedder = None
