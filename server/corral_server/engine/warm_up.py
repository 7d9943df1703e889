"""What happens between loading and being ready: everything a model will use is used once.

So the first caller does not wait for it, a model that cannot compute fails now (prompts and answers
take different ways through llama.cpp, and it is prompts that take the dangerous one), and the
memory that is measured is the memory that stays. On one thread, so that other models of this
machine do not stop for it.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from corral_server.config import Mode
from corral_server.engine.plan import Plan
from corral_server.engine.weights import Weights
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.process import give_back_memory, resident_bytes
from corral_server.llama.sampler import LlamaSampler
from corral_server.request import SamplingParams

_PROMPT_TOKENS = 8


@dataclass(frozen=True, slots=True)
class WarmContexts:
    """The contexts a plan keeps: none in DIRECT mode. `height`: the memory of the process, bytes,
    when all it may ever use was in use. `can_truncate`: a sequence could drop its last tokens."""

    generation: LlamaContext | None
    embedding: LlamaContext | None
    height: int
    can_truncate: bool = True


def warm_up(plan: Plan, weights: Weights, resources: ExitStack) -> WarmContexts:
    """Makes the contexts of `plan`, to be closed by `resources`, and uses them."""
    with ExitStack() as passing:
        owner = passing if plan.mode is Mode.DIRECT else resources
        generation = embedding = None
        height, can_truncate = 0, True
        if plan.generation is not None:
            generation = weights.context(plan.generation, owner)
        if plan.embedding is not None:
            embedding = weights.context(plan.embedding, owner)
            with embedding.one_thread():
                height = _warm_embedding(embedding, weights.model, plan.embedding)
        if generation is not None and plan.generation is not None:
            with generation.one_thread():
                height = _warm_generation(generation, weights.model, plan.generation)
                can_truncate = _can_truncate(generation, _prompt_tokens(plan.generation))
                generation.clear()
        if plan.mode is Mode.SERVER:
            return WarmContexts(generation, embedding, height, can_truncate)
    give_back_memory()
    return WarmContexts(None, None, height)


def _warm_generation(context: LlamaContext, model: LlamaModel, options: ContextOptions) -> int:
    """Computes a short prompt, and draws a token behind it as often as there are slots.

    llama.cpp has written to the outputs of all slots when it made the context, so those of the
    others need not be computed. Returns the memory of the process at its height.
    """
    vocabulary = model.vocabulary
    token = next(iter(vocabulary.end_tokens), 0)
    rows = LlamaBatch(options.batch_size)
    row = rows.add([token] * _prompt_tokens(options), position=0, sequence=0, wanted=True)
    context.decode(rows)
    with ExitStack() as samplers:
        for _ in range(options.slots):
            sampler = LlamaSampler(SamplingParams(), vocab_size=vocabulary.size, bias={})
            samplers.callback(sampler.close)
            sampler.sample(context, row)
        return resident_bytes()


def _prompt_tokens(options: ContextOptions) -> int:
    return min(_PROMPT_TOKENS, options.batch_size)


def _can_truncate(context: LlamaContext, length: int) -> bool:
    """Whether a sequence, which has `length` tokens, can drop all but the first of one more."""
    rows = LlamaBatch(1)
    rows.add([0], position=length, sequence=0, wanted=False)
    context.decode(rows)
    return context.forget(0, 1)


def _warm_embedding(context: LlamaContext, model: LlamaModel, options: ContextOptions) -> int:
    """Computes a short text, and makes room for the outputs of a full batch.

    Returns the memory of the process at its height.
    """
    longest = min(options.batch_size, model.trained_context)
    context.decode(_text(model, min(_PROMPT_TOKENS, longest)))
    if context.has_cache:
        context.clear()
    context.make_room(_text(model, longest))
    if context.has_cache:
        context.clear()
    return resident_bytes()


def _text(model: LlamaModel, count: int) -> LlamaBatch:
    """`count` tokens whose vectors are wanted."""
    token = next(iter(model.vocabulary.end_tokens), 0)
    rows = LlamaBatch(count)
    rows.add([token] * count, position=0, sequence=0, wanted=True)
    rows.want_all()
    return rows
