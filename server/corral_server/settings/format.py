"""The keys of a configuration: what each may hold, with its bounds."""

from typing import Any, get_args, get_type_hints

from corral_server.config import (
    BudgetConfig,
    CacheType,
    Capability,
    EngineTimeouts,
    FlashAttention,
    HubConfig,
    LoadOptions,
    LoraAdapter,
    Mode,
    Pooling,
    RopeScaling,
    RopeScalingType,
    SplitMode,
)
from corral_server.request import SamplingParams
from corral_server.rpc import limits
from corral_server.rpc.limits import Range
from corral_server.settings import LOG_LEVELS
from corral_server.settings.kinds import (
    Choice,
    Duration,
    Id,
    KeepAlive,
    Kind,
    Name,
    Number,
    Size,
    Switch,
    Text,
    TokenId,
    Whole,
    Word,
)
from corral_server.settings.places import Address, Endpoint, File, Source, TokenFile
from corral_server.settings.shape import Array, Dictionary, Key, Table

STARTUP, ON_DEMAND = "startup", "on_demand"
AUTO, NO_LIMIT = "auto", "none"

_HOUR_S = 3600
_WAIT_S = Range(1, 24 * _HOUR_S)
_BUDGET = Size(Range(2**20, 2**50))


class Budget(Kind):
    """A number of bytes, `auto` or `none`."""

    def read(self, raw: Any, base: Any) -> BudgetConfig:
        if raw in (AUTO, NO_LIMIT):
            return BudgetConfig(auto=raw == AUTO)
        return BudgetConfig(total_bytes=_BUDGET.read(raw, base))

    def write(self, value: BudgetConfig) -> str:
        if value.total_bytes is None:
            return AUTO if value.auto else NO_LIMIT
        return _BUDGET.write(value.total_bytes)


def _numbers(bounds: dict[str, Range], of: type) -> dict[str, Key]:
    """Keys of the numbers in `bounds`, whole where the field of that name is."""
    hints = get_type_hints(of)
    return {
        name: Key((Whole if int in (hints[name], *get_args(hints[name])) else Number)(bound))
        for name, bound in bounds.items()
    }


SERVER = Table(
    {
        "address": Key(Address()),
        "tls_cert": Key(File()),
        "tls_key": Key(File()),
        "token_file": Key(File()),
        "log_level": Key(Word(LOG_LEVELS)),
        "model_dirs": Key(Array(File(), most=64)),
        "grace": Key(Duration(limits.DRAIN_TIMEOUT_S), "grace_s"),
        "drain_timeout": Key(Duration(limits.DRAIN_TIMEOUT_S), "drain_timeout_s"),
        "min_residency": Key(Duration(Range(0, 24 * _HOUR_S)), "min_residency_s"),
        "max_request_bytes": Key(Size(Range(64 * 2**10, 2**30))),
    }
)
BUDGET = Table(
    {
        "total": Key(Budget()),
        "devices": Key(Dictionary(Name(), _BUDGET, most=64), "device_bytes"),
    }
)
HUB = Table(
    {
        "endpoint": Key(Endpoint()),
        "cache_dir": Key(File()),
        "token_file": Key(TokenFile()),
        "offline": Key(Switch()),
        "stall": Key(Duration(_WAIT_S), "stall_s"),
    },
    make=HubConfig,
)
ENGINE = Table(
    {
        "stall": Key(Duration(_WAIT_S), "stall_s"),
        "backoff": Key(Duration(Range(0.001, _HOUR_S)), "backoff_s"),
        "backoff_max": Key(Duration(Range(0.001, _HOUR_S)), "backoff_max_s"),
        "deaths": Key(Whole(Range(1, 1000))),
        "deaths_within": Key(Duration(_WAIT_S), "deaths_within_s"),
    },
    make=EngineTimeouts,
)

_ROPE = Table(
    {"type": Key(Choice(RopeScalingType)), **_numbers(limits.ROPE, RopeScaling)}, make=RopeScaling
)
_LORA = Table(
    {"path": Key(File()), "scale": Key(Number(limits.LORA_SCALE))},
    make=LoraAdapter,
    required=("path",),
)
_SAMPLING = Table(
    {
        **_numbers(limits.SAMPLING, SamplingParams),
        "logit_bias": Key(
            Dictionary(TokenId(), Number(limits.LOGIT_BIAS), most=limits.MAX_LOGIT_BIASES)
        ),
    },
    make=SamplingParams,
)
OPTIONS = {
    **_numbers(limits.LOAD, LoadOptions),
    "cache_type_k": Key(Choice(CacheType)),
    "cache_type_v": Key(Choice(CacheType)),
    "flash_attention": Key(Choice(FlashAttention)),
    "devices": Key(Array(Name(), most=limits.MAX_DEVICES)),
    "split_mode": Key(Choice(SplitMode)),
    "tensor_split": Key(Array(Number(limits.TENSOR_SPLIT), most=limits.MAX_DEVICES)),
    "use_mmap": Key(Switch()),
    "use_mlock": Key(Switch()),
    "pooling": Key(Choice(Pooling)),
    "chat_template": Key(Text(limits.MAX_TEMPLATE_BYTES)),
    "step_target": Key(Duration(limits.STEP_TARGET_S), "step_target_s"),
    "prefix_cache": Key(Switch()),
    "host_cache_bytes": Key(Size(limits.HOST_CACHE_BYTES)),
    "rope": Key(_ROPE),
    "lora": Key(Array(_LORA, most=limits.MAX_LORAS)),
    "default_sampling": Key(_SAMPLING),
}
# What llama.cpp, its server and others call the same thing.
_OTHER_NAMES = {
    "ctx_size": "context_size",
    "n_ctx": "context_size",
    "num_ctx": "context_size",
    "parallel": "slots",
    "n_parallel": "slots",
    "n_batch": "batch_size",
    "n_ubatch": "ubatch_size",
    "n_threads": "threads",
    "ngl": "gpu_layers",
    "n_gpu_layers": "gpu_layers",
    "mmap": "use_mmap",
    "mlock": "use_mlock",
    "sampling": "default_sampling",
    "cache_prompt": "prefix_cache",
    "cache_ram": "host_cache_bytes",
    "path": "source",
    "file": "source",
    "model": "source",
    "evict": "evict_idle",
    "ttl": "keep_alive",
}
_DEFAULTS = {
    "start": Key(Word((STARTUP, ON_DEMAND))),
    "capabilities": Key(Array(Choice(Capability), most=len(Capability), least=1, make=frozenset)),
    "mode": Key(Choice(Mode)),
    "keep_alive": Key(KeepAlive(limits.KEEP_ALIVE_S), "keep_alive_s"),
    "evict_idle": Key(Switch(), "evicts"),
    **OPTIONS,
}
DEFAULTS = Table(_DEFAULTS, other_names=_OTHER_NAMES)
MODEL = Table(
    {
        "source": Key(Source()),
        "default": Key(Switch()),
        "aliases": Key(Array(Id(), most=limits.MAX_ALIASES)),
        "pinned": Key(Switch()),
        **_DEFAULTS,
    },
    required=("source",),
    other_names=_OTHER_NAMES,
)
MODEL_ID = Id()
SECTIONS = ("server", "budget", "hub", "engine", "defaults", "models")
