"""Everybody who is due a token gets the one that its own chain picks from the whole row."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from corral_server.engine.picker import Picker
from corral_server.engine.sequence import Sequence
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.sampler import LlamaSampler
from corral_server.request import GenerationRequest, SamplingParams, TokenPrompt
from tiny_gguf import write_llama
from tiny_llama import load_model, make_context

# Large enough for a search to pay.
VOCABULARY = 32_000
NEVER = -math.inf
ALONE: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
STEPS = 20

MakeSampler = Callable[[], LlamaSampler]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = write_llama(tmp_path_factory.mktemp("picker") / "wide.gguf", vocab=VOCABULARY, peaked=5)
    model = load_model(path)
    yield model
    model.close()


@pytest.fixture
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    context = make_context(model, context_size=512, slots=8)
    yield context
    context.close()


def make_sampler(bias: dict[int, float] | None = None, **params: Any) -> LlamaSampler:
    return LlamaSampler(SamplingParams(**params), vocab_size=VOCABULARY, bias=bias or {})


def make_sequence(model: LlamaModel, sampler: LlamaSampler | None) -> Sequence:
    return Sequence(
        0,
        GenerationRequest(prompt=TokenPrompt((10,))),
        [10],
        limit=model.trained_context,
        vocabulary=model.vocabulary,
        sampler=sampler,
        now=0.0,
    )


def compute(context: LlamaContext, last_tokens: list[int], position: int) -> list[int]:
    """One more token of each sequence. Returns the rows of the batch."""
    batch = LlamaBatch(64)
    rows = [
        # Rows that nobody waits for lie in between.
        batch.add([token, token], position=position, sequence=sequence, wanted=True)
        for sequence, token in enumerate(last_tokens)
    ]
    context.decode(batch)
    return rows


def test_without_a_sampler_it_is_the_likeliest(model: LlamaModel, context: LlamaContext) -> None:
    rows = compute(context, [10, 20, 30], 0)
    due = [(make_sequence(model, None), row) for row in rows]
    assert Picker(VOCABULARY).pick(context, due) == context.logits(3).argmax(axis=1).tolist()


def test_what_is_forbidden_is_passed_over(model: LlamaModel, context: LlamaContext) -> None:
    (row,) = compute(context, [10], 0)
    logits = context.logits(1)[0]
    first, second, third = np.argsort(-logits)[:3].tolist()
    before = logits.copy()
    with_rest = make_sampler({first: NEVER, second: NEVER}, temperature=0.0)
    (token,) = Picker(VOCABULARY).pick(context, [(make_sequence(model, with_rest), row)])
    with_rest.close()
    assert token == third
    assert np.array_equal(logits, before)


def test_all_kinds_in_one_batch_get_what_their_chains_pick(
    model: LlamaModel, context: LlamaContext
) -> None:
    kinds: list[MakeSampler] = [
        lambda: make_sampler({5: NEVER, 65: NEVER}, temperature=0.0),
        lambda: make_sampler({65: 3.0}, temperature=0.0),
        lambda: make_sampler(temperature=0.0, repeat_penalty=1.3),
        lambda: make_sampler(seed=1),
        lambda: make_sampler({65: NEVER, 66: 2.0}, seed=2, presence_penalty=0.5),
        lambda: make_sampler(seed=3, **(ALONE | {"min_p": 0.1})),
        lambda: make_sampler(seed=4, **(ALONE | {"top_p": 0.9})),
        lambda: make_sampler(seed=5, temperature=1.5, **ALONE),
    ]
    picker = Picker(VOCABULARY)
    samplers, twins = [kind() for kind in kinds], [kind() for kind in kinds]
    sequences = [make_sequence(model, sampler) for sampler in samplers]
    tokens = [10] * len(kinds)
    for step in range(STEPS):
        rows = compute(context, tokens, 2 * step)
        tokens = picker.pick(context, list(zip(sequences, rows, strict=True)))
        assert tokens == [twin.sample(context, row) for twin, row in zip(twins, rows, strict=True)]
    for sampler in [*samplers, *twins]:
        sampler.close()


def test_a_small_vocabulary_is_picked_from_as_well(tiny_model: LlamaModel) -> None:
    context = make_context(tiny_model)
    size = tiny_model.vocabulary.size
    sampler, twin = (
        LlamaSampler(SamplingParams(seed=1), vocab_size=size, bias={}) for _ in range(2)
    )
    (row,) = compute(context, [10], 0)
    picker, sequence = Picker(size), make_sequence(tiny_model, sampler)
    picked = [picker.pick(context, [(sequence, row)]) for _ in range(STEPS)]
    assert picked == [[twin.sample(context, row)] for _ in range(STEPS)]
    for closing in (sampler, twin, context):
        closing.close()
