"""Puts the halves of an engine together: one that generates, and one that embeds."""

from dataclasses import dataclass

from corral_server.config import Mode
from corral_server.engine.direct import DirectRunner, DirectScheduler
from corral_server.engine.embedder import DirectEmbedder, LlamaEmbedder
from corral_server.engine.embedding_inputs import InputEncoder
from corral_server.engine.embedding_scheduler import EmbeddingScheduler
from corral_server.engine.embeddings import Embedder, Embeddings
from corral_server.engine.loop import Runner
from corral_server.engine.plan import Plan
from corral_server.engine.prompt import PromptEncoder
from corral_server.engine.runner import LlamaRunner
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.warm_up import WarmContexts
from corral_server.engine.weights import Weights


@dataclass(frozen=True, slots=True)
class Generation:
    """What generates; `runner` is None in an engine that only embeds."""

    scheduler: Scheduler
    runner: Runner | None


def make_generation(
    plan: Plan, weights: Weights, contexts: WarmContexts, *, max_waiting: int
) -> Generation:
    options = plan.generation
    vocabulary = weights.model.vocabulary
    if options is None:
        idle = Scheduler(slots=0, cells=0, batch_tokens=0, max_waiting=0)
        return Generation(idle, None)
    batch_tokens = options.batch_size
    if contexts.generation is None:
        direct = DirectRunner(
            lambda size: weights.passing_context(options, size),
            vocabulary,
            batch_tokens=batch_tokens,
        )
        waits = DirectScheduler(
            cells=options.context_size, batch_tokens=batch_tokens, max_waiting=max_waiting
        )
        return Generation(waits, direct)
    scheduler = Scheduler(
        slots=options.slots,
        cells=contexts.generation.size,
        batch_tokens=batch_tokens,
        max_waiting=max_waiting,
    )
    runner = LlamaRunner(contexts.generation, vocabulary, batch_tokens=batch_tokens)
    return Generation(scheduler, runner)


def make_embeddings(
    plan: Plan,
    weights: Weights,
    contexts: WarmContexts,
    encoder: PromptEncoder,
    *,
    max_waiting: int,
) -> Embeddings | None:
    options = plan.embedding
    if options is None:
        return None
    batch_tokens = options.batch_size
    scheduler = EmbeddingScheduler(
        sequences=options.slots,
        cells=options.context_size,
        batch_tokens=batch_tokens,
        max_waiting=max_waiting,
        one_call_at_a_time=plan.mode is Mode.DIRECT,
    )
    embedder: Embedder
    if contexts.embedding is None:
        embedder = DirectEmbedder(
            lambda size: weights.passing_context(options, size),
            batch_tokens=batch_tokens,
        )
    else:
        embedder = LlamaEmbedder(contexts.embedding, batch_tokens=batch_tokens)
    inputs = InputEncoder(encoder, weights.model.vocabulary, limit=plan.embedding_limit)
    return Embeddings(scheduler, embedder, inputs, pooling=plan.pooling)
