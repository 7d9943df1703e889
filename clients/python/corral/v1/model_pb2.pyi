import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Capability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[Capability]
    CAPABILITY_GENERATE: _ClassVar[Capability]
    CAPABILITY_CHAT: _ClassVar[Capability]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_RESTARTING: _ClassVar[ModelState]
    MODEL_STATE_DRAINING: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
CAPABILITY_UNSPECIFIED: Capability
CAPABILITY_GENERATE: Capability
CAPABILITY_CHAT: Capability
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_RESTARTING: ModelState
MODEL_STATE_DRAINING: ModelState
MODEL_STATE_FAILED: ModelState

class ModelSource(_message.Message):
    __slots__ = ("path", "demo")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DEMO_FIELD_NUMBER: _ClassVar[int]
    path: str
    demo: DemoSource
    def __init__(self, path: _Optional[str] = ..., demo: _Optional[_Union[DemoSource, _Mapping]] = ...) -> None: ...

class DemoSource(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadOptions(_message.Message):
    __slots__ = ("context_size", "slots", "batch_size", "threads", "max_waiting")
    CONTEXT_SIZE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    MAX_WAITING_FIELD_NUMBER: _ClassVar[int]
    context_size: int
    slots: int
    batch_size: int
    threads: int
    max_waiting: int
    def __init__(self, context_size: _Optional[int] = ..., slots: _Optional[int] = ..., batch_size: _Optional[int] = ..., threads: _Optional[int] = ..., max_waiting: _Optional[int] = ...) -> None: ...

class ModelError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "state", "is_default", "source", "options", "capabilities", "error", "facts", "loaded_at", "last_used_at", "active_requests", "restarts")
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
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., is_default: _Optional[bool] = ..., source: _Optional[_Union[ModelSource, _Mapping]] = ..., options: _Optional[_Union[LoadOptions, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., error: _Optional[_Union[ModelError, _Mapping]] = ..., facts: _Optional[_Union[ModelFacts, _Mapping]] = ..., loaded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_used_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., active_requests: _Optional[int] = ..., restarts: _Optional[int] = ...) -> None: ...

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
