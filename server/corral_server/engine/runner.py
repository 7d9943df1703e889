"""Computes a batch with llama.cpp: one decode; then picks a token for every sequence that is due
one."""

import math
from typing import assert_never

from corral_server.engine.batch import Batch, BatchItem, Forget, Operation, Restore, Save, Share
from corral_server.engine.crew import Crew
from corral_server.engine.picker import Picker
from corral_server.engine.sequence import Sequence
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import Interrupted, LlamaContext
from corral_server.llama.sampler import LlamaSampler
from corral_server.llama.vocabulary import Vocabulary
from corral_server.request import GenerationRequest


class LlamaRunner:
    """Owns the rows of the batch; borrows the context and the vocabulary."""

    def __init__(
        self,
        context: LlamaContext,
        vocabulary: Vocabulary,
        *,
        batch_tokens: int,
        spin: SpinPolicy,
        crew: Crew | None = None,
    ) -> None:
        """`crew`: by default a new one, of the context's threads."""
        self._spin = spin
        self._crew = crew or Crew(context.threads)
        self._context = context
        self._vocabulary = vocabulary
        self._rows = LlamaBatch(batch_tokens)
        self._picker = Picker(vocabulary.size)

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> LlamaSampler | None:
        """What picks this request's tokens; None where the likeliest one is all it takes."""
        return make_sampler(request, prompt, self._vocabulary)

    def compute(self, batch: Batch) -> None:
        """One decode. Raises NoCells or Interrupted (nothing computed, the operations are done), or
        DecodeFailed."""
        self.carry_out(batch.operations)
        self._rows.clear()
        for item in batch.items:
            self._add(item)
        try:
            self._decode()
        except Interrupted:
            for item in batch.items:
                assert item.sequence.slot is not None
                self._context.forget(item.sequence.slot, item.sequence.num_computed)
            raise

    def pick(self, batch: Batch) -> list[int]:
        """One token for each item of the batch just computed that closes its gap, in order."""
        due: list[tuple[Sequence, int]] = []
        rows = 0
        for item in batch.items:
            rows += item.count
            if item.closes_gap:
                due.append((item.sequence, rows - 1))
        return self._picker.pick(self._context, due) if due else []

    def _decode(self) -> None:
        num_tokens = len(self._rows)
        self._context.use_threads(self._crew.size(num_tokens))
        effort = self._context.decode(self._rows)
        self._crew.learn(num_tokens, effort)
        if self._context.threads > 1:
            self._spin.learn(effort)

    def interrupt(self) -> None:
        """Ends a `compute` that runs on another thread."""
        self._context.interrupt()

    def carry_out(self, operations: list[Operation]) -> None:
        """Moves what is in the cache, in order."""
        for operation in operations:
            match operation:
                case Forget(slot, start, end):
                    self._context.forget(slot, start, end)
                case Share(source, slot, start, end):
                    self._context.share(source, slot, start, end)
                case Save(slot, entry):
                    entry.state = self._context.save(slot, entry.take)
                case Restore(entry, slot):
                    self._context.restore(slot, entry.state)
                case _:
                    assert_never(operation)

    def _add(self, item: BatchItem) -> None:
        sequence, start = item.sequence, item.sequence.num_computed
        assert sequence.slot is not None
        self._rows.add(
            sequence.tokens[start : start + item.count],
            position=start,
            sequence=sequence.slot,
            wanted=item.closes_gap,
        )


def make_sampler(
    request: GenerationRequest, prompt: list[int], vocabulary: Vocabulary
) -> LlamaSampler | None:
    """What picks a request's tokens; None where the likeliest one is all it takes."""
    params = request.sampling
    bias = _bias(request, vocabulary)
    if params.is_greedy and not params.has_penalties and not bias:
        return None
    sampler = LlamaSampler(params, vocab_size=vocabulary.size, bias=bias)
    if params.has_penalties:
        sampler.accept(prompt[-params.repeat_last_n :])
    return sampler


def _bias(request: GenerationRequest, vocabulary: Vocabulary) -> dict[int, float]:
    bias = dict(request.sampling.logit_bias)
    if request.stop.ignore_eos:
        bias.update(dict.fromkeys(vocabulary.end_tokens, -math.inf))
    bias.update(dict.fromkeys(vocabulary.suppressed_tokens, -math.inf))
    return bias
