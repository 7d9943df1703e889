"""From what a load asks for and what the file turns out to be to what llama.cpp is told."""

from dataclasses import dataclass, replace

from corral_server.config import GENERATIVE, Capability, Mode, Pooling
from corral_server.ipc.messages import Start
from corral_server.llama.context import ContextOptions
from corral_server.llama.model import LlamaModel
from corral_server.llama.model_options import ModelOptions
from corral_server.processors import usable_processors

_DEFAULT_CONTEXT = 8192
_CELLS = 256  # llama.cpp rounds a cache up to a multiple of it
_EMBEDDING_BATCH = 512
_MIN_EMBEDDING_BATCH = 64
_EMBEDDING_SEQUENCES = 64
_LOGITS_BYTES = 128 * 1024 * 1024
_KEPT = 16  # finished sequences whose cells stay
_HOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a model is loaded. `generation` and `embedding` are the contexts it needs, DIRECT's for
    each call; None for one it does not. `host_cache_bytes`: what the prefix cache may take of host
    memory; `host_holds_all`: that is as much as the KV cache, which lies in host memory too."""

    model: ModelOptions
    mode: Mode
    generation: ContextOptions | None
    embedding: ContextOptions | None
    embedding_limit: int
    pooling: Pooling
    host_cache_bytes: int = 0
    host_holds_all: bool = False

    @property
    def contexts(self) -> tuple[ContextOptions, ...]:
        return tuple(options for options in (self.generation, self.embedding) if options)


def wants_generation(start: Start) -> bool:
    return bool(start.capabilities & GENERATIVE)


def wants_embedding(start: Start) -> bool:
    return Capability.EMBED in start.capabilities


def plan_model(start: Start) -> ModelOptions:
    options = start.options
    return ModelOptions(
        gpu_layers=options.gpu_layers,
        devices=options.devices,
        split_mode=options.split_mode,
        tensor_split=options.tensor_split,
        main_gpu=options.main_gpu,
        use_mmap=options.use_mmap,
        use_mlock=options.use_mlock,
    )


def plan_generation(start: Start, model: LlamaModel, *, size: int | None = None) -> ContextOptions:
    """`size` overrides what is asked for."""
    slots = 1 if start.mode is Mode.DIRECT else start.options.slots
    default = min(model.trained_context * slots, _DEFAULT_CONTEXT)
    wanted = size or start.options.context_size or default
    keeps = start.mode is Mode.SERVER and start.options.prefix_cache and model.can_truncate
    return _context(start, wanted, slots, start.options.batch_size, kept=_KEPT if keeps else 0)


def plan_host_cache(start: Start, model: LlamaModel, *, cache_bytes: int) -> int:
    """Bytes, for a model whose KV cache takes `cache_bytes`."""
    if start.mode is Mode.DIRECT or not (wants_generation(start) and start.options.prefix_cache):
        return 0
    if start.options.host_cache_bytes is not None:
        return start.options.host_cache_bytes
    return min(cache_bytes, _HOST_BYTES) if model.can_truncate else _HOST_BYTES


def plan_embedding(start: Start, model: LlamaModel, *, in_parts: bool) -> ContextOptions:
    """A causal model takes a long text `in_parts`; any other needs it whole in one graph.

    Either has a row of logits for each token of a batch, wanted or not: that bounds the batch.
    """
    asked = start.options.context_size
    trained = max(model.trained_context, 1)
    affordable = _LOGITS_BYTES // (4 * model.vocabulary.size)
    if in_parts:
        size = min(asked or _DEFAULT_CONTEXT, trained)
        most = min(max(affordable, _MIN_EMBEDDING_BATCH), _EMBEDDING_BATCH)
        batch_size = min(start.options.batch_size, most)
    else:
        wanted = asked or max(affordable, _EMBEDDING_BATCH)
        size = batch_size = min(wanted, trained)
    return _context(start, size, _EMBEDDING_SEQUENCES, batch_size, embeds=True)


def resized(options: ContextOptions, size: int) -> ContextOptions:
    """`options` for a context of `size` tokens, or a little more."""
    size = min(_rounded(size), options.context_size)
    batch = min(options.batch_size, size)
    return replace(
        options,
        context_size=size,
        batch_size=batch,
        ubatch_size=min(options.ubatch_size or batch, batch),
    )


def _context(
    start: Start, size: int, slots: int, batch_size: int, *, embeds: bool = False, kept: int = 0
) -> ContextOptions:
    options = start.options
    cells = _rounded(size)
    # llama.cpp cuts a batch to the cache, and dies on one that is longer.
    batch = min(batch_size, cells)
    slots = min(slots, batch)
    return ContextOptions(
        context_size=cells,
        slots=slots,
        # Every id costs rows of logits, and llama.cpp dies on more of them than a batch has.
        kept=min(kept, batch - slots),
        batch_size=batch,
        ubatch_size=batch if embeds else min(options.ubatch_size or batch, batch),
        threads=options.threads or _physical_cores(),
        cache_type_k=options.cache_type_k,
        cache_type_v=options.cache_type_v,
        flash_attention=options.flash_attention,
        rope=options.rope,
        embeds=embeds,
    )


def _rounded(size: int) -> int:
    return -(-size // _CELLS) * _CELLS


def _physical_cores() -> int:
    """The physical cores, but no more than this process may use."""
    import psutil  # 10 ms of an engine's start, where nobody has said how many

    return min(psutil.cpu_count(logical=False) or 1, usable_processors())
