import datetime

from corral.v1 import sampling_pb2 as _sampling_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CacheType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_TYPE_UNSPECIFIED: _ClassVar[CacheType]
    CACHE_TYPE_F32: _ClassVar[CacheType]
    CACHE_TYPE_F16: _ClassVar[CacheType]
    CACHE_TYPE_BF16: _ClassVar[CacheType]
    CACHE_TYPE_Q8_0: _ClassVar[CacheType]
    CACHE_TYPE_Q5_1: _ClassVar[CacheType]
    CACHE_TYPE_Q5_0: _ClassVar[CacheType]
    CACHE_TYPE_Q4_1: _ClassVar[CacheType]
    CACHE_TYPE_Q4_0: _ClassVar[CacheType]

class FlashAttention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLASH_ATTENTION_UNSPECIFIED: _ClassVar[FlashAttention]
    FLASH_ATTENTION_AUTO: _ClassVar[FlashAttention]
    FLASH_ATTENTION_ON: _ClassVar[FlashAttention]
    FLASH_ATTENTION_OFF: _ClassVar[FlashAttention]

class SplitMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLIT_MODE_UNSPECIFIED: _ClassVar[SplitMode]
    SPLIT_MODE_NONE: _ClassVar[SplitMode]
    SPLIT_MODE_LAYER: _ClassVar[SplitMode]
    SPLIT_MODE_ROW: _ClassVar[SplitMode]

class RopeScalingType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROPE_SCALING_TYPE_UNSPECIFIED: _ClassVar[RopeScalingType]
    ROPE_SCALING_TYPE_NONE: _ClassVar[RopeScalingType]
    ROPE_SCALING_TYPE_LINEAR: _ClassVar[RopeScalingType]
    ROPE_SCALING_TYPE_YARN: _ClassVar[RopeScalingType]

class Pooling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOLING_UNSPECIFIED: _ClassVar[Pooling]
    POOLING_MEAN: _ClassVar[Pooling]
    POOLING_CLS: _ClassVar[Pooling]
    POOLING_LAST: _ClassVar[Pooling]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_SERVER: _ClassVar[Mode]
    MODE_DIRECT: _ClassVar[Mode]

class Capability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[Capability]
    CAPABILITY_GENERATE: _ClassVar[Capability]
    CAPABILITY_CHAT: _ClassVar[Capability]
    CAPABILITY_EMBED: _ClassVar[Capability]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_RESTARTING: _ClassVar[ModelState]
    MODEL_STATE_DRAINING: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
    MODEL_STATE_NOT_LOADED: _ClassVar[ModelState]
CACHE_TYPE_UNSPECIFIED: CacheType
CACHE_TYPE_F32: CacheType
CACHE_TYPE_F16: CacheType
CACHE_TYPE_BF16: CacheType
CACHE_TYPE_Q8_0: CacheType
CACHE_TYPE_Q5_1: CacheType
CACHE_TYPE_Q5_0: CacheType
CACHE_TYPE_Q4_1: CacheType
CACHE_TYPE_Q4_0: CacheType
FLASH_ATTENTION_UNSPECIFIED: FlashAttention
FLASH_ATTENTION_AUTO: FlashAttention
FLASH_ATTENTION_ON: FlashAttention
FLASH_ATTENTION_OFF: FlashAttention
SPLIT_MODE_UNSPECIFIED: SplitMode
SPLIT_MODE_NONE: SplitMode
SPLIT_MODE_LAYER: SplitMode
SPLIT_MODE_ROW: SplitMode
ROPE_SCALING_TYPE_UNSPECIFIED: RopeScalingType
ROPE_SCALING_TYPE_NONE: RopeScalingType
ROPE_SCALING_TYPE_LINEAR: RopeScalingType
ROPE_SCALING_TYPE_YARN: RopeScalingType
POOLING_UNSPECIFIED: Pooling
POOLING_MEAN: Pooling
POOLING_CLS: Pooling
POOLING_LAST: Pooling
MODE_UNSPECIFIED: Mode
MODE_SERVER: Mode
MODE_DIRECT: Mode
CAPABILITY_UNSPECIFIED: Capability
CAPABILITY_GENERATE: Capability
CAPABILITY_CHAT: Capability
CAPABILITY_EMBED: Capability
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_RESTARTING: ModelState
MODEL_STATE_DRAINING: ModelState
MODEL_STATE_FAILED: ModelState
MODEL_STATE_NOT_LOADED: ModelState

class ModelSource(_message.Message):
    __slots__ = ("path", "demo", "hub")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DEMO_FIELD_NUMBER: _ClassVar[int]
    HUB_FIELD_NUMBER: _ClassVar[int]
    path: str
    demo: DemoSource
    hub: HubSource
    def __init__(self, path: _Optional[str] = ..., demo: _Optional[_Union[DemoSource, _Mapping]] = ..., hub: _Optional[_Union[HubSource, _Mapping]] = ...) -> None: ...

class HubSource(_message.Message):
    __slots__ = ("repo", "file", "quantization", "revision", "force", "offline")
    REPO_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    repo: str
    file: str
    quantization: str
    revision: str
    force: bool
    offline: bool
    def __init__(self, repo: _Optional[str] = ..., file: _Optional[str] = ..., quantization: _Optional[str] = ..., revision: _Optional[str] = ..., force: _Optional[bool] = ..., offline: _Optional[bool] = ...) -> None: ...

class DemoSource(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadOptions(_message.Message):
    __slots__ = ("context_size", "slots", "batch_size", "threads", "max_waiting", "ubatch_size", "cache_type_k", "cache_type_v", "flash_attention", "gpu_layers", "devices", "split_mode", "tensor_split", "main_gpu", "use_mmap", "use_mlock", "rope", "lora", "pooling", "chat_template", "default_sampling", "step_target", "prefix_cache", "host_cache_bytes")
    CONTEXT_SIZE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    MAX_WAITING_FIELD_NUMBER: _ClassVar[int]
    UBATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    CACHE_TYPE_K_FIELD_NUMBER: _ClassVar[int]
    CACHE_TYPE_V_FIELD_NUMBER: _ClassVar[int]
    FLASH_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    GPU_LAYERS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    SPLIT_MODE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_SPLIT_FIELD_NUMBER: _ClassVar[int]
    MAIN_GPU_FIELD_NUMBER: _ClassVar[int]
    USE_MMAP_FIELD_NUMBER: _ClassVar[int]
    USE_MLOCK_FIELD_NUMBER: _ClassVar[int]
    ROPE_FIELD_NUMBER: _ClassVar[int]
    LORA_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    CHAT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SAMPLING_FIELD_NUMBER: _ClassVar[int]
    STEP_TARGET_FIELD_NUMBER: _ClassVar[int]
    PREFIX_CACHE_FIELD_NUMBER: _ClassVar[int]
    HOST_CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    context_size: int
    slots: int
    batch_size: int
    threads: int
    max_waiting: int
    ubatch_size: int
    cache_type_k: CacheType
    cache_type_v: CacheType
    flash_attention: FlashAttention
    gpu_layers: int
    devices: _containers.RepeatedScalarFieldContainer[str]
    split_mode: SplitMode
    tensor_split: _containers.RepeatedScalarFieldContainer[float]
    main_gpu: int
    use_mmap: bool
    use_mlock: bool
    rope: RopeScaling
    lora: _containers.RepeatedCompositeFieldContainer[LoraAdapter]
    pooling: Pooling
    chat_template: str
    default_sampling: _sampling_pb2.SamplingParams
    step_target: _duration_pb2.Duration
    prefix_cache: bool
    host_cache_bytes: float
    def __init__(self, context_size: _Optional[int] = ..., slots: _Optional[int] = ..., batch_size: _Optional[int] = ..., threads: _Optional[int] = ..., max_waiting: _Optional[int] = ..., ubatch_size: _Optional[int] = ..., cache_type_k: _Optional[_Union[CacheType, str]] = ..., cache_type_v: _Optional[_Union[CacheType, str]] = ..., flash_attention: _Optional[_Union[FlashAttention, str]] = ..., gpu_layers: _Optional[int] = ..., devices: _Optional[_Iterable[str]] = ..., split_mode: _Optional[_Union[SplitMode, str]] = ..., tensor_split: _Optional[_Iterable[float]] = ..., main_gpu: _Optional[int] = ..., use_mmap: _Optional[bool] = ..., use_mlock: _Optional[bool] = ..., rope: _Optional[_Union[RopeScaling, _Mapping]] = ..., lora: _Optional[_Iterable[_Union[LoraAdapter, _Mapping]]] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., chat_template: _Optional[str] = ..., default_sampling: _Optional[_Union[_sampling_pb2.SamplingParams, _Mapping]] = ..., step_target: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., prefix_cache: _Optional[bool] = ..., host_cache_bytes: _Optional[float] = ...) -> None: ...

class RopeScaling(_message.Message):
    __slots__ = ("type", "freq_base", "freq_scale", "yarn_original_context")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FREQ_BASE_FIELD_NUMBER: _ClassVar[int]
    FREQ_SCALE_FIELD_NUMBER: _ClassVar[int]
    YARN_ORIGINAL_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    type: RopeScalingType
    freq_base: float
    freq_scale: float
    yarn_original_context: int
    def __init__(self, type: _Optional[_Union[RopeScalingType, str]] = ..., freq_base: _Optional[float] = ..., freq_scale: _Optional[float] = ..., yarn_original_context: _Optional[int] = ...) -> None: ...

class LoraAdapter(_message.Message):
    __slots__ = ("path", "scale")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    path: str
    scale: float
    def __init__(self, path: _Optional[str] = ..., scale: _Optional[float] = ...) -> None: ...

class ModelError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "state", "is_default", "source", "options", "capabilities", "error", "facts", "loaded_at", "last_used_at", "active_requests", "restarts", "mode", "aliases", "pinned", "keep_alive", "expires_at", "on_demand", "running_requests", "waiting_requests", "memory")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ON_DEMAND_FIELD_NUMBER: _ClassVar[int]
    RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: ModelState
    is_default: bool
    source: ModelSource
    options: LoadOptions
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    error: ModelError
    facts: ModelFacts
    loaded_at: _timestamp_pb2.Timestamp
    last_used_at: _timestamp_pb2.Timestamp
    active_requests: int
    restarts: int
    mode: Mode
    aliases: _containers.RepeatedScalarFieldContainer[str]
    pinned: bool
    keep_alive: _duration_pb2.Duration
    expires_at: _timestamp_pb2.Timestamp
    on_demand: bool
    running_requests: int
    waiting_requests: int
    memory: _containers.RepeatedCompositeFieldContainer[DeviceFootprint]
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., is_default: _Optional[bool] = ..., source: _Optional[_Union[ModelSource, _Mapping]] = ..., options: _Optional[_Union[LoadOptions, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., error: _Optional[_Union[ModelError, _Mapping]] = ..., facts: _Optional[_Union[ModelFacts, _Mapping]] = ..., loaded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_used_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., active_requests: _Optional[int] = ..., restarts: _Optional[int] = ..., mode: _Optional[_Union[Mode, str]] = ..., aliases: _Optional[_Iterable[str]] = ..., pinned: _Optional[bool] = ..., keep_alive: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., on_demand: _Optional[bool] = ..., running_requests: _Optional[int] = ..., waiting_requests: _Optional[int] = ..., memory: _Optional[_Iterable[_Union[DeviceFootprint, _Mapping]]] = ...) -> None: ...

class DeviceFootprint(_message.Message):
    __slots__ = ("device", "reserved_bytes", "weights_bytes", "cache_bytes", "compute_bytes", "measured_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEASURED_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    reserved_bytes: float
    weights_bytes: float
    cache_bytes: float
    compute_bytes: float
    measured_bytes: float
    def __init__(self, device: _Optional[str] = ..., reserved_bytes: _Optional[float] = ..., weights_bytes: _Optional[float] = ..., cache_bytes: _Optional[float] = ..., compute_bytes: _Optional[float] = ..., measured_bytes: _Optional[float] = ...) -> None: ...

class ModelFacts(_message.Message):
    __slots__ = ("architecture", "name", "parameter_count", "quantization", "file_bytes", "vocab_size", "embedding_size", "trained_context", "context_size", "sequence_limit", "slots", "memory_bytes", "has_chat_template")
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SIZE_FIELD_NUMBER: _ClassVar[int]
    TRAINED_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    HAS_CHAT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    architecture: str
    name: str
    parameter_count: float
    quantization: str
    file_bytes: float
    vocab_size: int
    embedding_size: int
    trained_context: int
    context_size: int
    sequence_limit: int
    slots: int
    memory_bytes: float
    has_chat_template: bool
    def __init__(self, architecture: _Optional[str] = ..., name: _Optional[str] = ..., parameter_count: _Optional[float] = ..., quantization: _Optional[str] = ..., file_bytes: _Optional[float] = ..., vocab_size: _Optional[int] = ..., embedding_size: _Optional[int] = ..., trained_context: _Optional[int] = ..., context_size: _Optional[int] = ..., sequence_limit: _Optional[int] = ..., slots: _Optional[int] = ..., memory_bytes: _Optional[float] = ..., has_chat_template: _Optional[bool] = ...) -> None: ...
