"""A context that embeds computes the same vectors without the logits that would follow them."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import LlamaContext
from corral_server.llama.context_options import ContextOptions
from corral_server.llama.model import LlamaModel

TOKENS = list(range(5, 37))


@dataclass(frozen=True)
class Rows:
    vectors: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]


class WithHead(ContextOptions):
    def params(self) -> c.llama_context_params:
        params = super().params()
        params.cb_eval = c.ggml_backend_sched_eval_callback()
        return params


def vectors(context: LlamaContext) -> npt.NDArray[np.float32]:
    batch = LlamaBatch(64)
    batch.add(TOKENS, position=0, sequence=0, wanted=True)
    batch.want_all()
    context.decode(batch)
    return context.token_vectors(len(TOKENS)).copy()


def computed(model: LlamaModel, options: type[ContextOptions]) -> Rows:
    chosen = options(context_size=256, slots=4, batch_size=64, threads=1, embeds=True)
    with closing(LlamaContext(model, chosen)) as context:
        return Rows(vectors(context), context.logits(len(TOKENS)).copy())


def test_the_vectors_are_the_same_and_no_logits_are_computed(model: LlamaModel) -> None:
    # In this order: what is not computed may lie where somebody else has computed it.
    headless, whole = computed(model, ContextOptions), computed(model, WithHead)
    np.testing.assert_array_equal(headless.vectors, whole.vectors)
    assert np.abs(whole.logits).max() > 0.0
    assert not np.allclose(headless.logits, whole.logits)


def test_a_context_goes_on_after_it_was_stopped(model: LlamaModel) -> None:
    options = ContextOptions(context_size=256, slots=4, batch_size=64, threads=1, embeds=True)
    with closing(LlamaContext(model, options)) as context:
        first = vectors(context)
        context.forget(0)
        np.testing.assert_array_equal(vectors(context), first)
