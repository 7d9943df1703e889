"""Computes a batch with llama.cpp: one decode, then a token for every sequence that is due one."""

import math

from corral_server.engine.batch import Batch
from corral_server.engine.sequence import Sequence
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import LlamaContext
from corral_server.llama.sampler import LlamaSampler
from corral_server.llama.vocabulary import Vocabulary
from corral_server.request import GenerationRequest


class LlamaRunner:
    """Owns the rows of the batch; borrows the context and the vocabulary."""

    def __init__(self, context: LlamaContext, vocabulary: Vocabulary, *, batch_tokens: int) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._rows = LlamaBatch(batch_tokens)

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> LlamaSampler | None:
        """What picks this request's tokens; None where the likeliest one is all it takes."""
        return make_sampler(request, prompt, self._vocabulary)

    def execute(self, batch: Batch) -> list[int]:
        """One token for each item that closes its gap, in order.

        Raises NoCells (nothing computed, freed slots are empty) or DecodeFailed.
        """
        for slot in batch.freed:
            self._context.forget(slot)
        self._rows.clear()
        due: list[tuple[Sequence, int]] = []
        for item in batch.items:
            row = self._add(item.sequence, item.count, wanted=item.closes_gap)
            if item.closes_gap:
                due.append((item.sequence, row))
        self._context.decode(self._rows)
        return self._pick(due) if due else []

    def _add(self, sequence: Sequence, count: int, *, wanted: bool) -> int:
        assert sequence.slot is not None
        start = sequence.num_computed
        return self._rows.add(
            sequence.tokens[start : start + count],
            position=start,
            sequence=sequence.slot,
            wanted=wanted,
        )

    def _pick(self, due: list[tuple[Sequence, int]]) -> list[int]:
        logits = self._context.logits(len(due))
        return [
            sequence.sampler.sample(self._context, row)
            if isinstance(sequence.sampler, LlamaSampler)
            else int(logits[index].argmax())
            for index, (sequence, row) in enumerate(due)
        ]


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
