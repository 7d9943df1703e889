"""What ModelManager answers, from what we work with to messages."""

import time
from collections.abc import Iterable
from typing import Any, assert_never

from google.protobuf.timestamp_pb2 import Timestamp

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2, server_pb2
from corral_server.config import DemoSource, HubSource, ModelSource, PathSource
from corral_server.hub.messages import HubFile, HubRepo, PulledModel, PullProgress
from corral_server.ipc.messages import (
    Device,
    DeviceFootprint,
    EngineFacts,
    EngineLoad,
    Loading,
    LoadStage,
    ModelFacts,
)
from corral_server.models.budget import RAM
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.machine import MachineMemory
from corral_server.models.registry import ResolveReason
from corral_server.rpc import load_options
from corral_server.rpc.convert_models import CAPABILITIES, MODES
from corral_server.rpc.present import duration

_STATES = {
    ModelState.NOT_LOADED: model_pb2.MODEL_STATE_NOT_LOADED,
    ModelState.LOADING: model_pb2.MODEL_STATE_LOADING,
    ModelState.READY: model_pb2.MODEL_STATE_READY,
    ModelState.RESTARTING: model_pb2.MODEL_STATE_RESTARTING,
    ModelState.DRAINING: model_pb2.MODEL_STATE_DRAINING,
    ModelState.FAILED: model_pb2.MODEL_STATE_FAILED,
}
_STAGES = {
    LoadStage.DOWNLOADING: pb.LOAD_STAGE_DOWNLOADING,
    LoadStage.PROBING: pb.LOAD_STAGE_PROBING,
    LoadStage.LOADING: pb.LOAD_STAGE_LOADING,
    LoadStage.WARMING: pb.LOAD_STAGE_WARMING,
}
_REASONS = {
    ResolveReason.ID: pb.RESOLVE_REASON_ID,
    ResolveReason.ALIAS: pb.RESOLVE_REASON_ALIAS,
    ResolveReason.DEFAULT: pb.RESOLVE_REASON_DEFAULT,
}
_CAPABILITIES = {capability: number for number, capability in CAPABILITIES.items()}
_MODES = {mode: number for number, mode in MODES.items()}


def model(entry: ModelEntry, *, is_default: bool, on_demand: bool) -> model_pb2.Model:
    slots = entry.engine_facts.slots if entry.engine_facts else 0
    spec = entry.spec
    message = model_pb2.Model(
        id=entry.id,
        state=_STATES.get(entry.state, model_pb2.MODEL_STATE_UNSPECIFIED),
        is_default=is_default,
        source=source(spec.source),
        options=load_options.to_message(spec.options),
        capabilities=sorted(_CAPABILITIES[capability] for capability in spec.capabilities),
        active_requests=entry.leases,
        running_requests=min(entry.leases, slots),
        waiting_requests=max(entry.leases - slots, 0),
        restarts=entry.restarts,
        mode=_MODES[spec.mode],
        aliases=spec.aliases,
        pinned=spec.pinned,
        on_demand=on_demand,
        memory=footprints(entry),
    )
    _add_error(message, entry)
    _add_times(message, entry)
    if entry.model_facts is not None:
        message.facts.CopyFrom(facts(entry.model_facts, entry.engine_facts))
    return message


def _add_error(message: model_pb2.Model, entry: ModelEntry) -> None:
    if entry.error is not None:
        message.error.reason, message.error.message = entry.error.reason, entry.error.message


def _add_times(message: model_pb2.Model, entry: ModelEntry) -> None:
    if entry.loaded_at is not None:
        message.loaded_at.CopyFrom(timestamp(entry.loaded_at))
    if entry.last_used_at is not None:
        message.last_used_at.CopyFrom(timestamp(entry.last_used_at))
    if entry.spec.keep_alive_s is not None:
        message.keep_alive.CopyFrom(duration(entry.spec.keep_alive_s))
    if entry.expires_at is not None:
        message.expires_at.CopyFrom(timestamp(time.time() + entry.expires_at - time.monotonic()))


def source(source: ModelSource) -> model_pb2.ModelSource:
    match source:
        case PathSource():
            return model_pb2.ModelSource(path=source.path)
        case DemoSource():
            return model_pb2.ModelSource(demo=model_pb2.DemoSource())
        case HubSource():
            fields = {name: getattr(source, name) for name in source.__struct_fields__}
            return model_pb2.ModelSource(hub=model_pb2.HubSource(**fields))
        case _:
            assert_never(source)


def facts(model: ModelFacts, engine: EngineFacts | None) -> model_pb2.ModelFacts:
    """What the file says and, once there is one, what the engine says."""
    known: dict[str, Any] = {}
    for part in (model, engine):
        if part is not None:
            known |= {name: getattr(part, name) for name in part.__struct_fields__}
    fields = {field.name for field in model_pb2.ModelFacts.DESCRIPTOR.fields}
    return model_pb2.ModelFacts(**{name: known[name] for name in fields & known.keys()})


def footprints(entry: ModelEntry) -> list[model_pb2.DeviceFootprint]:
    """What `entry` takes, device by device."""
    messages = [footprint(part) for part in entry.footprint]
    for message in messages:
        message.reserved_bytes = entry.reserved.get(message.device, 0)
        if message.device == RAM and entry.engine is not None and entry.engine_facts is not None:
            message.measured_bytes = entry.engine_facts.growth_bytes
    return messages


def footprint(part: DeviceFootprint) -> model_pb2.DeviceFootprint:
    return model_pb2.DeviceFootprint(
        device=part.device,
        reserved_bytes=part.total_bytes,
        weights_bytes=part.weights_bytes,
        cache_bytes=part.cache_bytes,
        compute_bytes=part.compute_bytes,
    )


def ram(memory: MachineMemory, limit: int | None, entries: Iterable[ModelEntry]) -> pb.DeviceMemory:
    """The machine's own memory as GetMemory shows it."""
    message = _device(RAM, "memory of this machine", memory.total, memory.free, limit, entries)
    message.measured_bytes = sum(
        part.measured_bytes for entry in entries for part in footprints(entry) if part.device == RAM
    )
    return message


def gpu(device: Device, limit: int | None, entries: Iterable[ModelEntry]) -> pb.DeviceMemory:
    """A GPU as GetMemory shows it; what is free is what was free when it was first seen."""
    return _device(
        device.name, device.description, device.total_bytes, device.free_bytes, limit, entries
    )


def _device(
    name: str,
    description: str,
    total: int,
    free: int,
    limit: int | None,
    entries: Iterable[ModelEntry],
) -> pb.DeviceMemory:
    return pb.DeviceMemory(
        device=name,
        description=description,
        total_bytes=total,
        free_bytes=free,
        budget_bytes=limit,
        reserved_bytes=sum(entry.reserved.get(name, 0) for entry in entries),
    )


def load_progress(progress: Loading) -> pb.LoadProgress:
    return pb.LoadProgress(
        stage=_STAGES[progress.stage],
        fraction=progress.fraction,
        done_bytes=progress.done_bytes,
        total_bytes=progress.total_bytes,
    )


def load(id: str, load: EngineLoad) -> server_pb2.ModelLoad:
    """How busy the engine of the model `id` is."""
    message = server_pb2.ModelLoad(
        model=id,
        slots=load.slots,
        running=load.running,
        waiting=load.waiting,
        max_waiting=load.max_waiting,
        cells=load.cells,
        cells_used=load.cells_used,
        cells_cached=load.cells_cached,
        completion_tokens_per_second=load.completion_tokens_per_s,
        prompt_tokens_per_second=load.prompt_tokens_per_s,
        prompt_cached_ratio=load.prompt_cached_ratio,
    )
    if load.estimated_wait_s is not None:
        message.estimated_wait.CopyFrom(duration(load.estimated_wait_s))
    return message


def resolve_reason(reason: ResolveReason) -> pb.ResolveReason:
    return _REASONS[reason]


def hub_repo(repo: HubRepo) -> pb.HubRepo:
    return pb.HubRepo(
        repo=repo.repo,
        downloads=repo.downloads,
        likes=repo.likes,
        updated_at=repo.updated_at,
        gated=repo.gated,
        private=repo.private,
        tags=repo.tags,
    )


def hub_file(file: HubFile) -> pb.HubFile:
    return pb.HubFile(
        file=file.file,
        size_bytes=file.size_bytes,
        quantization=file.quantization,
        shards=file.shards,
    )


def pull_progress(progress: PullProgress) -> pb.PullModelResponse:
    return pb.PullModelResponse(
        progress=pb.PullProgress(
            file=progress.file, done_bytes=progress.done_bytes, total_bytes=progress.total_bytes
        )
    )


def pulled(model: PulledModel) -> pb.PullModelResponse:
    return pb.PullModelResponse(
        pulled=pb.PulledModel(path=model.path, size_bytes=model.size_bytes, commit=model.commit)
    )


def timestamp(at: float) -> Timestamp:
    """`at` in seconds since 1970."""
    message = Timestamp()
    message.FromNanoseconds(int(at * 1e9))
    return message
