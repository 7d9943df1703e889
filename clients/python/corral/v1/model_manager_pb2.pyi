import datetime

from corral.v1 import model_pb2 as _model_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoadStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOAD_STAGE_UNSPECIFIED: _ClassVar[LoadStage]
    LOAD_STAGE_PROBING: _ClassVar[LoadStage]
    LOAD_STAGE_LOADING: _ClassVar[LoadStage]
    LOAD_STAGE_WARMING: _ClassVar[LoadStage]
    LOAD_STAGE_DOWNLOADING: _ClassVar[LoadStage]

class ResolveReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOLVE_REASON_UNSPECIFIED: _ClassVar[ResolveReason]
    RESOLVE_REASON_ID: _ClassVar[ResolveReason]
    RESOLVE_REASON_ALIAS: _ClassVar[ResolveReason]
    RESOLVE_REASON_DEFAULT: _ClassVar[ResolveReason]
LOAD_STAGE_UNSPECIFIED: LoadStage
LOAD_STAGE_PROBING: LoadStage
LOAD_STAGE_LOADING: LoadStage
LOAD_STAGE_WARMING: LoadStage
LOAD_STAGE_DOWNLOADING: LoadStage
RESOLVE_REASON_UNSPECIFIED: ResolveReason
RESOLVE_REASON_ID: ResolveReason
RESOLVE_REASON_ALIAS: ResolveReason
RESOLVE_REASON_DEFAULT: ResolveReason

class LoadModelRequest(_message.Message):
    __slots__ = ("id", "source", "options", "capabilities", "make_default", "mode", "aliases", "keep_alive", "pinned", "evict_idle")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MAKE_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    EVICT_IDLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: _model_pb2.ModelSource
    options: _model_pb2.LoadOptions
    capabilities: _containers.RepeatedScalarFieldContainer[_model_pb2.Capability]
    make_default: bool
    mode: _model_pb2.Mode
    aliases: _containers.RepeatedScalarFieldContainer[str]
    keep_alive: _duration_pb2.Duration
    pinned: bool
    evict_idle: bool
    def __init__(self, id: _Optional[str] = ..., source: _Optional[_Union[_model_pb2.ModelSource, _Mapping]] = ..., options: _Optional[_Union[_model_pb2.LoadOptions, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[_model_pb2.Capability, str]]] = ..., make_default: _Optional[bool] = ..., mode: _Optional[_Union[_model_pb2.Mode, str]] = ..., aliases: _Optional[_Iterable[str]] = ..., keep_alive: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., pinned: _Optional[bool] = ..., evict_idle: _Optional[bool] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("progress", "model")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    progress: LoadProgress
    model: _model_pb2.Model
    def __init__(self, progress: _Optional[_Union[LoadProgress, _Mapping]] = ..., model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class LoadProgress(_message.Message):
    __slots__ = ("stage", "fraction", "done_bytes", "total_bytes")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    DONE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    stage: LoadStage
    fraction: float
    done_bytes: float
    total_bytes: float
    def __init__(self, stage: _Optional[_Union[LoadStage, str]] = ..., fraction: _Optional[float] = ..., done_bytes: _Optional[float] = ..., total_bytes: _Optional[float] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("id", "drain_timeout", "force")
    ID_FIELD_NUMBER: _ClassVar[int]
    DRAIN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    drain_timeout: _duration_pb2.Duration
    force: bool
    def __init__(self, id: _Optional[str] = ..., drain_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., force: _Optional[bool] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ("remaining_ids",)
    REMAINING_IDS_FIELD_NUMBER: _ClassVar[int]
    remaining_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, remaining_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class SetDefaultModelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class SetDefaultModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class GetDefaultModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDefaultModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class ResolveModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ResolveModelResponse(_message.Message):
    __slots__ = ("model", "reason", "would_load")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WOULD_LOAD_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    reason: ResolveReason
    would_load: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., reason: _Optional[_Union[ResolveReason, str]] = ..., would_load: _Optional[bool] = ...) -> None: ...

class WatchModelsRequest(_message.Message):
    __slots__ = ("after_sequence", "instance_id")
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    after_sequence: int
    instance_id: str
    def __init__(self, after_sequence: _Optional[int] = ..., instance_id: _Optional[str] = ...) -> None: ...

class WatchModelsResponse(_message.Message):
    __slots__ = ("sequence", "instance_id", "snapshot", "changed", "removed", "progress", "default_changed")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_CHANGED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    instance_id: str
    snapshot: ModelsSnapshot
    changed: _model_pb2.Model
    removed: ModelRemoved
    progress: ModelProgress
    default_changed: DefaultChanged
    def __init__(self, sequence: _Optional[int] = ..., instance_id: _Optional[str] = ..., snapshot: _Optional[_Union[ModelsSnapshot, _Mapping]] = ..., changed: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., removed: _Optional[_Union[ModelRemoved, _Mapping]] = ..., progress: _Optional[_Union[ModelProgress, _Mapping]] = ..., default_changed: _Optional[_Union[DefaultChanged, _Mapping]] = ...) -> None: ...

class ModelsSnapshot(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...

class ModelRemoved(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ModelProgress(_message.Message):
    __slots__ = ("id", "progress")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    id: str
    progress: LoadProgress
    def __init__(self, id: _Optional[str] = ..., progress: _Optional[_Union[LoadProgress, _Mapping]] = ...) -> None: ...

class DefaultChanged(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetMemoryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMemoryResponse(_message.Message):
    __slots__ = ("devices", "models")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceMemory]
    models: _containers.RepeatedCompositeFieldContainer[ModelMemory]
    def __init__(self, devices: _Optional[_Iterable[_Union[DeviceMemory, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ModelMemory, _Mapping]]] = ...) -> None: ...

class DeviceMemory(_message.Message):
    __slots__ = ("device", "description", "total_bytes", "free_bytes", "budget_bytes", "reserved_bytes", "measured_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEASURED_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    description: str
    total_bytes: float
    free_bytes: float
    budget_bytes: float
    reserved_bytes: float
    measured_bytes: float
    def __init__(self, device: _Optional[str] = ..., description: _Optional[str] = ..., total_bytes: _Optional[float] = ..., free_bytes: _Optional[float] = ..., budget_bytes: _Optional[float] = ..., reserved_bytes: _Optional[float] = ..., measured_bytes: _Optional[float] = ...) -> None: ...

class ModelMemory(_message.Message):
    __slots__ = ("id", "devices")
    ID_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    id: str
    devices: _containers.RepeatedCompositeFieldContainer[_model_pb2.DeviceFootprint]
    def __init__(self, id: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[_model_pb2.DeviceFootprint, _Mapping]]] = ...) -> None: ...

class PredictMemoryRequest(_message.Message):
    __slots__ = ("source", "options", "mode", "capabilities")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    source: _model_pb2.ModelSource
    options: _model_pb2.LoadOptions
    mode: _model_pb2.Mode
    capabilities: _containers.RepeatedScalarFieldContainer[_model_pb2.Capability]
    def __init__(self, source: _Optional[_Union[_model_pb2.ModelSource, _Mapping]] = ..., options: _Optional[_Union[_model_pb2.LoadOptions, _Mapping]] = ..., mode: _Optional[_Union[_model_pb2.Mode, str]] = ..., capabilities: _Optional[_Iterable[_Union[_model_pb2.Capability, str]]] = ...) -> None: ...

class PredictMemoryResponse(_message.Message):
    __slots__ = ("devices", "fits", "fits_after_eviction", "facts")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    FITS_AFTER_EVICTION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[_model_pb2.DeviceFootprint]
    fits: bool
    fits_after_eviction: bool
    facts: _model_pb2.ModelFacts
    def __init__(self, devices: _Optional[_Iterable[_Union[_model_pb2.DeviceFootprint, _Mapping]]] = ..., fits: _Optional[bool] = ..., fits_after_eviction: _Optional[bool] = ..., facts: _Optional[_Union[_model_pb2.ModelFacts, _Mapping]] = ...) -> None: ...

class SearchHubRequest(_message.Message):
    __slots__ = ("query", "limit")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    query: str
    limit: int
    def __init__(self, query: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class SearchHubResponse(_message.Message):
    __slots__ = ("repos",)
    REPOS_FIELD_NUMBER: _ClassVar[int]
    repos: _containers.RepeatedCompositeFieldContainer[HubRepo]
    def __init__(self, repos: _Optional[_Iterable[_Union[HubRepo, _Mapping]]] = ...) -> None: ...

class HubRepo(_message.Message):
    __slots__ = ("repo", "downloads", "likes", "updated_at", "gated", "private", "tags")
    REPO_FIELD_NUMBER: _ClassVar[int]
    DOWNLOADS_FIELD_NUMBER: _ClassVar[int]
    LIKES_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    GATED_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    repo: str
    downloads: float
    likes: int
    updated_at: _timestamp_pb2.Timestamp
    gated: bool
    private: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, repo: _Optional[str] = ..., downloads: _Optional[float] = ..., likes: _Optional[int] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., gated: _Optional[bool] = ..., private: _Optional[bool] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class ListHubFilesRequest(_message.Message):
    __slots__ = ("repo", "revision")
    REPO_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    repo: str
    revision: str
    def __init__(self, repo: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class ListHubFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[HubFile]
    def __init__(self, files: _Optional[_Iterable[_Union[HubFile, _Mapping]]] = ...) -> None: ...

class HubFile(_message.Message):
    __slots__ = ("file", "size_bytes", "quantization", "shards")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    file: str
    size_bytes: float
    quantization: str
    shards: int
    def __init__(self, file: _Optional[str] = ..., size_bytes: _Optional[float] = ..., quantization: _Optional[str] = ..., shards: _Optional[int] = ...) -> None: ...

class PullModelRequest(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: _model_pb2.HubSource
    def __init__(self, source: _Optional[_Union[_model_pb2.HubSource, _Mapping]] = ...) -> None: ...

class PullModelResponse(_message.Message):
    __slots__ = ("progress", "pulled")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PULLED_FIELD_NUMBER: _ClassVar[int]
    progress: PullProgress
    pulled: PulledModel
    def __init__(self, progress: _Optional[_Union[PullProgress, _Mapping]] = ..., pulled: _Optional[_Union[PulledModel, _Mapping]] = ...) -> None: ...

class PullProgress(_message.Message):
    __slots__ = ("file", "done_bytes", "total_bytes")
    FILE_FIELD_NUMBER: _ClassVar[int]
    DONE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    file: str
    done_bytes: float
    total_bytes: float
    def __init__(self, file: _Optional[str] = ..., done_bytes: _Optional[float] = ..., total_bytes: _Optional[float] = ...) -> None: ...

class PulledModel(_message.Message):
    __slots__ = ("path", "size_bytes", "commit")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: float
    commit: str
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[float] = ..., commit: _Optional[str] = ...) -> None: ...
