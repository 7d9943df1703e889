"""Many sequences in one batch are computed as each would be alone; cells come back when freed."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import DecodeFailed, LlamaContext, NoCells
from corral_server.llama.model import LlamaModel
from tiny_llama import make_context

Logits = npt.NDArray[np.float32]
# Kernels for one row and for several add up in another order.
CLOSE = 1e-4
PROMPTS = [list(range(10, 17)), list(range(40, 52)), [5, 5, 5]]


@pytest.fixture
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    context = make_context(model)
    yield context
    context.close()


def compute(context: LlamaContext, *rows: tuple[list[int], int, int]) -> Logits:
    """One batch of (tokens, position, sequence), the logits behind each of them."""
    batch = LlamaBatch(64)
    for tokens, position, sequence in rows:
        batch.add(tokens, position=position, sequence=sequence, wanted=True)
    context.decode(batch)
    return context.logits(len(rows)).copy()


def alone(model: LlamaModel, prompt: list[int]) -> Logits:
    context = make_context(model)
    try:
        logits: Logits = compute(context, (prompt, 0, 0))[0]
        return logits
    finally:
        context.close()


# The batch


def test_rows_are_added_behind_each_other_and_the_last_of_each_is_named() -> None:
    batch = LlamaBatch(8)
    assert batch.add([1, 2, 3], position=0, sequence=1, wanted=True) == 2
    assert batch.add([4], position=7, sequence=0, wanted=True) == 3
    assert len(batch) == 4


def test_a_cleared_batch_is_empty_and_can_be_filled_again() -> None:
    batch = LlamaBatch(4)
    batch.add([1, 2, 3, 4], position=0, sequence=0, wanted=True)
    batch.clear()
    assert len(batch) == 0
    assert batch.add([1], position=0, sequence=0, wanted=True) == 0


def test_what_the_batch_before_wanted_is_forgotten(
    context: LlamaContext, model: LlamaModel
) -> None:
    batch = LlamaBatch(8)
    batch.add([1, 2], position=0, sequence=0, wanted=True)
    context.decode(batch)
    batch.clear()
    batch.add([3, 4, 5], position=2, sequence=0, wanted=True)
    context.decode(batch)
    other = alone(model, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(context.logits(1)[0], other, atol=CLOSE)


# Sequences


def test_sequences_in_one_batch_are_computed_as_alone(
    context: LlamaContext, model: LlamaModel
) -> None:
    together = compute(context, *((prompt, 0, slot) for slot, prompt in enumerate(PROMPTS)))
    for logits, prompt in zip(together, PROMPTS, strict=True):
        np.testing.assert_allclose(logits, alone(model, prompt), atol=CLOSE)


def test_prompts_and_answers_can_share_a_batch(context: LlamaContext, model: LlamaModel) -> None:
    one, other = PROMPTS[:2]
    compute(context, (one, 0, 3))
    logits = compute(context, ([9], len(one), 3), (other, 0, 1))
    np.testing.assert_allclose(logits[0], alone(model, [*one, 9]), atol=CLOSE)
    np.testing.assert_allclose(logits[1], alone(model, other), atol=CLOSE)


def test_a_prompt_in_chunks_is_computed_as_at_once(
    context: LlamaContext, model: LlamaModel
) -> None:
    prompt = PROMPTS[1]
    compute(context, (prompt[:5], 0, 0))
    logits = compute(context, (prompt[5:], 5, 0))
    np.testing.assert_allclose(logits[0], alone(model, prompt), atol=CLOSE)


def test_only_wanted_rows_have_logits_in_order(context: LlamaContext, model: LlamaModel) -> None:
    batch = LlamaBatch(64)
    for slot, (prompt, wanted) in enumerate(zip(PROMPTS, [True, False, True], strict=True)):
        batch.add(prompt, position=0, sequence=slot, wanted=wanted)
    context.decode(batch)
    logits = context.logits(2)
    np.testing.assert_allclose(logits[0], alone(model, PROMPTS[0]), atol=CLOSE)
    np.testing.assert_allclose(logits[1], alone(model, PROMPTS[2]), atol=CLOSE)


def test_a_batch_that_makes_no_sense_fails_with_what_llama_cpp_said(context: LlamaContext) -> None:
    compute(context, (PROMPTS[0], 0, 0))
    with pytest.raises(DecodeFailed, match="returned -1"):
        compute(context, ([9], 3, 0))


# Cells


def fill(context: LlamaContext, sequence: int, tokens: int) -> None:
    for start in range(0, tokens, 64):
        compute(context, ([1] * min(64, tokens - start), start, sequence))


def test_a_full_cache_has_no_cells(context: LlamaContext) -> None:
    fill(context, 0, context.size)
    with pytest.raises(NoCells):
        compute(context, ([1], 0, 1))


def test_a_refused_batch_changes_nothing(context: LlamaContext, model: LlamaModel) -> None:
    fill(context, 0, context.size - 8)
    compute(context, (PROMPTS[0], 0, 1))
    with pytest.raises(NoCells):
        compute(context, (PROMPTS[1], 0, 2))
    logits = compute(context, ([9], len(PROMPTS[0]), 1))
    np.testing.assert_allclose(logits[0], alone(model, [*PROMPTS[0], 9]), atol=CLOSE)


def test_a_forgotten_sequence_gives_its_cells_back(
    context: LlamaContext, model: LlamaModel
) -> None:
    fill(context, 0, context.size)
    context.forget(0)
    logits = compute(context, (PROMPTS[0], 0, 1))
    np.testing.assert_allclose(logits[0], alone(model, PROMPTS[0]), atol=CLOSE)


def test_forgetting_one_sequence_keeps_the_others(context: LlamaContext, model: LlamaModel) -> None:
    compute(context, (PROMPTS[0], 0, 0), (PROMPTS[1], 0, 1))
    context.forget(0)
    logits = compute(context, ([9], len(PROMPTS[1]), 1))
    np.testing.assert_allclose(logits[0], alone(model, [*PROMPTS[1], 9]), atol=CLOSE)


def test_forgetting_a_sequence_that_holds_nothing_is_harmless(context: LlamaContext) -> None:
    context.forget(3)
    compute(context, (PROMPTS[0], 0, 3))


def test_a_cleared_cache_is_empty(context: LlamaContext) -> None:
    fill(context, 0, context.size)
    context.clear()
    fill(context, 1, context.size)
