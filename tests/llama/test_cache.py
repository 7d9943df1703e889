"""What a context remembers of its sequences: shared, dropped in parts, saved and brought back."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import numpy.typing as npt
import pytest

from bench.synthetic import write_synthetic
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import DecodeFailed, Interrupted, LlamaContext, NoCells
from corral_server.llama.model import LlamaModel
from tiny_llama import load_model, make_context
from tiny_mamba import write_mamba

Logits = npt.NDArray[np.float32]
CLOSE = 1e-4
PROMPT = list(range(10, 30))
DEADLINE_S = 20.0


@pytest.fixture
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    with closing(make_context(model)) as context:
        yield context


def compute(
    context: LlamaContext, tokens: list[int], position: int, sequence: int, *, capacity: int = 64
) -> Logits:
    """The logits behind the last of `tokens`."""
    batch = LlamaBatch(capacity)
    batch.add(tokens, position=position, sequence=sequence, wanted=True)
    context.decode(batch)
    logits: Logits = context.logits(1)[0].copy()
    return logits


@contextmanager
def interrupting(context: LlamaContext) -> Iterator[None]:
    """Another thread that interrupts as long as the block lasts. What falls between computations is
    lost, as it should be."""
    over = threading.Event()

    def interrupt() -> None:
        while not over.is_set():
            context.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(DEADLINE_S)


def test_a_sequence_goes_on_behind_cells_that_another_computed(context: LlamaContext) -> None:
    wanted = compute(context, PROMPT, 0, 0)
    compute(context, PROMPT[:12], 0, 1)
    context.share(1, 2, 0, 12)
    np.testing.assert_allclose(compute(context, PROMPT[12:], 12, 2), wanted, atol=CLOSE)


def test_shared_cells_stay_until_the_last_lets_go(context: LlamaContext) -> None:
    wanted = compute(context, PROMPT, 0, 0)
    compute(context, PROMPT[:12], 0, 1)
    context.share(1, 2, 0, 12)
    context.forget(1)
    np.testing.assert_allclose(compute(context, PROMPT[12:], 12, 2), wanted, atol=CLOSE)


def test_shared_cells_take_room_once(context: LlamaContext) -> None:
    compute(context, [5] * 60, 0, 0)
    for sequence in (1, 2, 3):
        context.share(0, sequence, 0, 60)
    for sequence in (1, 2, 3):
        compute(context, [7] * 60, 60, sequence)
    with pytest.raises(NoCells):
        compute(context, [7] * 60, 60, 0)


def test_a_sequence_drops_its_end(context: LlamaContext) -> None:
    wanted = compute(context, PROMPT, 0, 0)
    compute(context, [*PROMPT[:12], 99, 98], 0, 1)
    assert context.forget(1, 12)
    np.testing.assert_allclose(compute(context, PROMPT[12:], 12, 1), wanted, atol=CLOSE)


def test_a_part_in_the_middle_can_be_exchanged_for_another_s(context: LlamaContext) -> None:
    wanted = compute(context, PROMPT, 0, 0)
    compute(context, PROMPT[:12], 0, 1)
    context.forget(1, 4, 12)
    context.share(0, 1, 4, 12)
    # Cells in another order are added up in another order, from numbers of 16 bits.
    np.testing.assert_allclose(compute(context, PROMPT[12:], 12, 1), wanted, atol=10 * CLOSE)


def test_what_was_saved_comes_back_to_the_bit(context: LlamaContext) -> None:
    compute(context, PROMPT[:12], 0, 0)
    state = context.save(0, bytearray)
    wanted = compute(context, PROMPT[12:], 12, 0)
    context.clear()
    context.restore(3, state)
    np.testing.assert_array_equal(compute(context, PROMPT[12:], 12, 3), wanted)


def test_what_does_not_fit_is_not_restored(context: LlamaContext) -> None:
    compute(context, [5] * 60, 0, 0)
    state = context.save(0, bytearray)
    for sequence in (1, 2, 3):
        compute(context, [5] * 64, 0, sequence)
    context.forget(0)
    compute(context, [5] * 20, 0, 0)
    context.forget(0, 10)
    compute(context, [5] * 40, 64, 1)
    with pytest.raises(DecodeFailed):
        context.restore(0, state)


def test_a_recurrent_model_drops_no_part_but_what_was_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_mamba(tmp_path_factory.mktemp("mamba") / "mamba.gguf")
    with closing(load_model(path)) as model, closing(make_context(model)) as context:
        assert not model.can_truncate
        compute(context, PROMPT[:12], 0, 0)
        state = context.save(0, bytearray)
        wanted = compute(context, PROMPT[12:], 12, 0)
        assert not context.forget(0, 15)
        context.forget(0)
        context.restore(1, state)
        np.testing.assert_allclose(compute(context, PROMPT[12:], 12, 1), wanted, atol=CLOSE)


def test_a_recurrent_model_is_not_interrupted_for_it_could_not_go_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_mamba(tmp_path_factory.mktemp("mamba") / "mamba.gguf", context=4096)
    with (
        closing(load_model(path)) as model,
        closing(make_context(model, context_size=2048, batch_size=2048)) as context,
        interrupting(context),
    ):
        compute(context, [5] * 2000, 0, 0, capacity=2048)
        compute(context, PROMPT, 2000, 0)


def test_a_long_computation_is_interrupted_and_another_is_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_synthetic(
        tmp_path_factory.mktemp("slow") / "slow.gguf",
        layers=8,
        embedding=512,
        heads=8,
        kv_heads=8,
        ff=2048,
        vocab=1000,
    )
    with (
        closing(load_model(path)) as model,
        closing(make_context(model, context_size=2048, batch_size=2048)) as context,
    ):
        with interrupting(context), pytest.raises(Interrupted):
            compute(context, [5] * 2000, 0, 0, capacity=2048)
        context.forget(0)
        compute(context, PROMPT, 0, 0)
