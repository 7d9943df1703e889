"""What a server is told to do: frozen, complete, without a word about how."""

from dataclasses import dataclass, field
from enum import Enum

import msgspec

from corral_server.request import SamplingParams


class Capability(Enum):
    """What a model can be asked to do."""

    GENERATE = "generate"
    CHAT = "chat"
    EMBED = "embed"


class Mode(Enum):
    """How a model serves: continuous batching over slots, or a fresh context for each call."""

    SERVER = "server"
    DIRECT = "direct"


class CacheType(Enum):
    """How a number of the KV cache is stored."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


class FlashAttention(Enum):
    """Whether flash attention is used: where the device has it, always, never."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class SplitMode(Enum):
    """How a model is laid over several GPUs."""

    NONE = "none"
    LAYER = "layer"
    ROW = "row"


class RopeScalingType(Enum):
    """Methods of scaling positions."""

    NONE = "none"
    LINEAR = "linear"
    YARN = "yarn"


class Pooling(Enum):
    """How the vectors of a text's tokens become one."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"


class PathSource(msgspec.Struct, frozen=True, tag="path", array_like=True):
    """A GGUF file on this machine, or the first of a split set."""

    path: str


class DemoSource(msgspec.Struct, frozen=True, tag="demo", array_like=True):
    """The model embedded in Corral."""


class HubSource(msgspec.Struct, frozen=True, kw_only=True, tag="hub", array_like=True):
    """A model on the Hugging Face Hub, by `file` or by `quantization`; the other one is empty."""

    repo: str
    file: str = ""
    quantization: str = ""
    revision: str = "main"
    force: bool = False
    offline: bool = False


ModelSource = PathSource | DemoSource | HubSource


class RopeScaling(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How positions are scaled; None is what the file says."""

    type: RopeScalingType | None = None
    freq_base: float | None = None
    freq_scale: float | None = None
    yarn_original_context: int | None = None


class LoraAdapter(msgspec.Struct, frozen=True, array_like=True):
    """A LoRA adapter's file and how strongly it is applied."""

    path: str
    scale: float = 1.0


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How a model is loaded; None takes the default that its engine derives from the model.

    `context_size`: tokens the KV cache holds over all slots; default the trained context times
    the slots, at most 8192. `threads`: default the physical cores. `ubatch_size`: default the
    batch size. `pooling`: default the model's own, or MEAN. `step_target_s`: how long one step
    should take while answers run. `host_cache_bytes`: default as much as the KV cache, at most
    256 MiB; all of that for models that cannot drop a part of a sequence.
    """

    context_size: int | None = None
    slots: int = 8
    batch_size: int = 512
    ubatch_size: int | None = None
    threads: int | None = None
    max_waiting: int = 256
    cache_type_k: CacheType = CacheType.F16
    cache_type_v: CacheType = CacheType.F16
    flash_attention: FlashAttention = FlashAttention.AUTO
    gpu_layers: int = -1
    devices: tuple[str, ...] = ()
    split_mode: SplitMode = SplitMode.LAYER
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    use_mmap: bool = True
    use_mlock: bool = False
    rope: RopeScaling = RopeScaling()
    lora: tuple[LoraAdapter, ...] = ()
    pooling: Pooling | None = None
    chat_template: str | None = None
    default_sampling: SamplingParams = SamplingParams()
    step_target_s: float = 0.1
    prefix_cache: bool = True
    host_cache_bytes: int | None = None


GENERATIVE = frozenset({Capability.GENERATE, Capability.CHAT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as it was asked for. Two loads of one id agree only if their specs are equal.

    `keep_alive_s`: idle time before it is unloaded, None for ever. `evicts`: whether idle models
    may go to make room for it.
    """

    id: str
    source: ModelSource
    options: LoadOptions = LoadOptions()
    capabilities: frozenset[Capability] = GENERATIVE
    mode: Mode = Mode.SERVER
    aliases: tuple[str, ...] = ()
    keep_alive_s: float | None = None
    pinned: bool = False
    evicts: bool = False


def default_mode(capabilities: frozenset[Capability]) -> Mode:
    """DIRECT where EMBED is asked for, as in the reference; else SERVER."""
    return Mode.DIRECT if Capability.EMBED in capabilities else Mode.SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """What models may take together. Exactly one of three shapes, or none for no limit.

    `total_bytes`: one pool for RAM and all GPUs. `auto`: 80 % of the machine's memory, or of what
    a cgroup allows, and each GPU's free memory. `device_bytes`: by device name, RAM included; a
    device that is not named has no limit.
    """

    total_bytes: int | None = None
    auto: bool = False
    device_bytes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """The Hugging Face Hub: where it is, where its files go, and the token to show.

    None leaves it to huggingface_hub and its environment: HF_ENDPOINT, HF_HOME, HF_TOKEN.
    `token_file` is read when a token is needed, so that it can be exchanged.
    """

    endpoint: str | None = None
    cache_dir: str | None = None
    token_file: str | None = None
    offline: bool = False
    stall_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTimeouts:
    """How long an engine may take, in seconds, and when one that dies is given up.

    `stall_s` bounds a load by its lack of progress, not by its length.
    """

    stall_s: float = 120.0
    backoff_s: float = 0.5
    backoff_max_s: float = 30.0
    deaths: int = 3
    deaths_within_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """A server: where it listens, which models it knows, how it stops.

    `models` load at start, `on_demand` at the first call; `default_model` is one of their ids or
    None. `model_dirs`: where paths may lead; empty means anywhere. `grace_s` is how long running
    calls may go on after SIGTERM, `drain_timeout_s` after an unload. `min_residency_s`: how long a
    model stays before it may be evicted. `max_request_bytes` bounds one incoming message.
    `tls_cert` and `tls_key`, paths of PEM files, go together; with `token_file` every call but
    health must show one of its tokens. All three are read at start.
    """

    address: str = "127.0.0.1:50051"
    tls_cert: str | None = None
    tls_key: str | None = None
    token_file: str | None = None
    models: tuple[ModelSpec, ...] = ()
    on_demand: tuple[ModelSpec, ...] = ()
    default_model: str | None = None
    model_dirs: tuple[str, ...] = ()
    grace_s: float = 30.0
    drain_timeout_s: float = 30.0
    min_residency_s: float = 10.0
    max_request_bytes: int = 16 * 1024 * 1024
    log_level: str = "info"
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    engine: EngineTimeouts = field(default_factory=EngineTimeouts)
