"""Puts the halves of an engine together: one that generates, and one that embeds."""

from dataclasses import dataclass

from corral_server.config import LoadOptions, Mode
from corral_server.engine.direct import DirectRunner, DirectScheduler
from corral_server.engine.embedder import DirectEmbedder, LlamaEmbedder
from corral_server.engine.embedding_inputs import InputEncoder
from corral_server.engine.embedding_scheduler import EmbeddingScheduler
from corral_server.engine.embeddings import Embedder, Embeddings
from corral_server.engine.host_cache import HostCache
from corral_server.engine.kv_cache import KvCache, Policy
from corral_server.engine.loop import Runner
from corral_server.engine.pace import Pace
from corral_server.engine.plan import Plan
from corral_server.engine.prompt import PromptEncoder
from corral_server.engine.runner import LlamaRunner
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.engine.warm_up import WarmContexts
from corral_server.engine.weights import Weights
from corral_server.llama.host_memory import HostMemory

# Part of the cells that finished sequences may take without being found, where they are lost when
# they go.
_SHARE_IF_LOST = 1 / 4


@dataclass(frozen=True, slots=True)
class Generation:
    """What generates; `runner` is None in an engine that only embeds."""

    scheduler: Scheduler
    runner: Runner | None


def make_generation(
    plan: Plan, weights: Weights, contexts: WarmContexts, load: LoadOptions, spin: SpinPolicy
) -> Generation:
    options = plan.generation
    vocabulary = weights.model.vocabulary
    if options is None:
        nothing = KvCache(cells=0, slots=0, policy=Policy(keeps=False))
        pace = Pace(target_s=load.step_target_s, batch_tokens=0)
        return Generation(Scheduler(slots=0, cache=nothing, pace=pace, max_waiting=0), None)
    batch_tokens = options.batch_size
    pace = Pace(target_s=load.step_target_s, batch_tokens=batch_tokens)
    if contexts.generation is None:
        direct = DirectRunner(
            lambda size: weights.passing_context(options, size),
            vocabulary,
            batch_tokens=batch_tokens,
            spin=spin,
        )
        waits = DirectScheduler(cells=options.context_size, pace=pace, max_waiting=load.max_waiting)
        return Generation(waits, direct)
    cache = KvCache(
        cells=contexts.generation.size,
        slots=options.sequences,
        policy=_policy(plan, load, contexts),
        host=_host_cache(plan, whole=not contexts.can_truncate),
    )
    scheduler = Scheduler(slots=options.slots, cache=cache, pace=pace, max_waiting=load.max_waiting)
    runner = LlamaRunner(contexts.generation, vocabulary, batch_tokens=batch_tokens, spin=spin)
    return Generation(scheduler, runner)


def _policy(plan: Plan, load: LoadOptions, contexts: WarmContexts) -> Policy:
    """Where host memory holds all that the KV cache can, nothing stays in this beside what runs: to
    copy a sequence out and back costs the time of a few steps over its cells."""
    is_saved = plan.host_cache_bytes > 0
    return Policy(
        keeps=load.prefix_cache,
        whole=not contexts.can_truncate,
        least_share=0.0 if is_saved else _SHARE_IF_LOST,
        most_share=0.0 if plan.host_holds_all else 1.0,
    )


def _host_cache(plan: Plan, *, whole: bool) -> HostCache | None:
    if not plan.host_cache_bytes:
        return None
    return HostCache(HostMemory(plan.host_cache_bytes), whole=whole)


def make_embeddings(
    plan: Plan,
    weights: Weights,
    contexts: WarmContexts,
    encoder: PromptEncoder,
    *,
    max_waiting: int,
    spin: SpinPolicy,
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
            spin=spin,
        )
    else:
        embedder = LlamaEmbedder(contexts.embedding, batch_tokens=batch_tokens, spin=spin)
    inputs = InputEncoder(encoder, weights.model.vocabulary, limit=plan.embedding_limit)
    return Embeddings(scheduler, embedder, inputs, pooling=plan.pooling)
