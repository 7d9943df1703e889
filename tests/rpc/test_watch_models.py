"""WatchModels through gRPC: what is told, in which order, and how a watch goes on or ends."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2, server_pb2
from corral_server.config import ModelSpec
from corral_server.errors import ServerDraining
from corral_server.ipc.messages import Loading, LoadStage
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.model_manager import ModelManager
from fake_engine import MakeSpec
from rpc.service import Service, last, refusal

pytestmark = pytest.mark.asyncio

LOADING, READY, DRAINING, FAILED, NOT_LOADED = (
    model_pb2.MODEL_STATE_LOADING,
    model_pb2.MODEL_STATE_READY,
    model_pb2.MODEL_STATE_DRAINING,
    model_pb2.MODEL_STATE_FAILED,
    model_pb2.MODEL_STATE_NOT_LOADED,
)


class Watch:
    """A WatchModels call that has begun, and what it has told."""

    def __init__(self, service: Service, **request: Any) -> None:
        self.call = service.models.WatchModels(pb.WatchModelsRequest(**request))
        self.seen: list[pb.WatchModelsResponse] = []

    async def next(self) -> pb.WatchModelsResponse:
        async with asyncio.timeout(10):
            change = await self.call.read()
        assert isinstance(change, pb.WatchModelsResponse)
        self.seen.append(change)
        return change

    async def until(self, kind: str) -> list[pb.WatchModelsResponse]:
        """What is told until the next change of this kind, that included."""
        start = len(self.seen)
        while (await self.next()).WhichOneof("event") != kind:
            pass
        return self.seen[start:]

    @property
    def states(self) -> list[tuple[str, int]]:
        """The states models were told to be in, progress aside."""
        return [
            (change.changed.id, change.changed.state)
            for change in self.seen
            if change.HasField("changed")
        ]


async def begun(service: Service, **request: Any) -> Watch:
    """A watch that has told its snapshot."""
    watch = Watch(service, **request)
    assert (await watch.next()).HasField("snapshot")
    return watch


async def unload(service: Service, id: str = "m") -> None:
    await service.models.UnloadModel(pb.UnloadModelRequest(id=id))


# What is told.


async def test_a_watch_begins_with_all_there_is(service: Service) -> None:
    await service.load("b")
    await refusal(service.load("a", default=False, at_load="fail"))
    watch = await begun(service)
    listed = await service.models.ListModels(pb.ListModelsRequest())
    assert list(watch.seen[0].snapshot.models) == list(listed.models)
    info = await service.info.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert watch.seen[0].instance_id == info.instance_id
    assert watch.seen[0].sequence > 0


async def test_the_life_of_a_model_is_told_step_by_step(service: Service) -> None:
    watch = await begun(service)
    await service.load(default=False)
    await unload(service)
    await watch.until("removed")
    assert watch.states == [("m", LOADING), ("m", READY), ("m", DRAINING)]
    assert watch.seen[-1].removed.id == "m"


async def test_changes_are_numbered_without_a_gap(service: Service) -> None:
    watch = await begun(service)
    await service.load()
    await unload(service)
    await watch.until("removed")
    numbers = [change.sequence for change in watch.seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({change.instance_id for change in watch.seen}) == 1


async def test_a_failed_load_is_told_with_its_reason(service: Service) -> None:
    watch = await begun(service)
    await refusal(service.load(default=False, at_load="fail"))
    while not watch.states or watch.states[-1] != ("m", FAILED):
        await watch.next()
    assert watch.seen[-1].changed.error.reason == "MODEL_FILE_INVALID"


async def test_a_model_on_demand_goes_back_to_waiting(
    service: Service, make_spec: MakeSpec
) -> None:
    service.registry.declare(make_spec())
    watch = await begun(service)
    async with service.registry.lease("m"):
        pass
    await unload(service)
    while not watch.states or watch.states[-1] != ("m", NOT_LOADED):
        await watch.next()
    assert [state for _, state in watch.states] == [LOADING, READY, DRAINING, NOT_LOADED]


async def test_the_progress_of_a_load_is_told_in_tenths(service: Service) -> None:
    watch = await begun(service)
    await service.load(default=False, progress=tuple(n / 1000 for n in range(1001)))
    while watch.states != [("m", LOADING), ("m", READY)]:
        await watch.next()
    told = [change.progress.progress for change in watch.seen if change.HasField("progress")]
    stages = [one.stage for one in told]
    assert stages == sorted(stages)
    fractions = [round(one.fraction, 3) for one in told if one.stage == pb.LOAD_STAGE_LOADING]
    assert fractions == [tenth / 10 for tenth in range(11)]


async def test_loads_at_the_same_time_do_not_fill_the_journal(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    manager = ModelManager(registry, drain_timeout_s=0, instance_id="this start")
    entries = [_loading(make_spec(id)) for id in "ab"]
    watch = manager.WatchModels(pb.WatchModelsRequest(), None)  # type: ignore[arg-type]
    await anext(watch)
    for number in range(1001):
        for entry in entries:
            entry.progress = Loading(LoadStage.LOADING, number / 1000)
            manager.progressed(entry)
    manager.stop_watches()
    told = await _all(watch)
    assert len(told) == 2 * 11


def _loading(spec: ModelSpec) -> ModelEntry:
    return ModelEntry(spec, lambda _: None, state=ModelState.LOADING)


async def _all(watch: AsyncIterator[pb.WatchModelsResponse]) -> list[pb.WatchModelsResponse]:
    told = []
    with pytest.raises(ServerDraining):
        async for change in watch:
            told.append(change)
    return told


async def test_a_second_load_of_a_model_tells_its_progress_again(service: Service) -> None:
    watch = await begun(service)
    for _ in range(2):
        await service.load(default=False)
        await unload(service)
        steps = [change for change in await watch.until("removed") if change.HasField("progress")]
        assert len(steps) >= 3


async def test_another_default_is_told(service: Service) -> None:
    await service.load("a")
    await service.load("b", default=False)
    watch = await begun(service)
    await service.models.SetDefaultModel(pb.SetDefaultModelRequest(id="b"))
    assert (await watch.next()).default_changed.id == "b"
    await service.models.SetDefaultModel(pb.SetDefaultModelRequest(id="b"))
    await unload(service, "b")
    told = [change.WhichOneof("event") for change in await watch.until("default_changed")]
    assert told == ["changed", "removed", "default_changed"]
    assert watch.seen[-1].default_changed.id == ""


# Going on.


async def test_a_dropped_watch_goes_on_where_it_was(service: Service) -> None:
    watch = await begun(service)
    await service.load(default=False)
    first = (await watch.next()).sequence
    instance_id = watch.seen[0].instance_id
    watch.call.cancel()
    await unload(service)
    again = Watch(service, after_sequence=first, instance_id=instance_id)
    await again.until("removed")
    assert [change.sequence for change in again.seen] == list(
        range(first + 1, first + 1 + len(again.seen))
    )
    assert again.states == [("m", READY), ("m", DRAINING)]


async def test_a_watch_of_another_start_begins_anew(service: Service) -> None:
    await service.load()
    watch = await begun(service, after_sequence=1, instance_id="an earlier start")
    assert [model.id for model in watch.seen[0].snapshot.models] == ["m"]


async def test_everybody_is_told_the_same(service: Service) -> None:
    watches = [await begun(service) for _ in range(5)]
    await service.load(default=False)
    await unload(service)
    for watch in watches:
        await watch.until("removed")
    assert all(watch.seen == watches[0].seen for watch in watches)


async def test_a_watch_that_is_left_holds_nothing_up(service: Service) -> None:
    for _ in range(50):
        (await begun(service)).call.cancel()
    await service.load()
    assert (await begun(service)).seen[0].snapshot.models[0].state == READY


# The end.


async def test_a_server_that_stops_ends_watches_after_what_has_happened(service: Service) -> None:
    watch = await begun(service)
    await service.load(default=False)
    service.server.refuse()
    refused = await refusal(last(watch.call))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_a_watch_does_not_hold_up_a_stop(service: Service) -> None:
    watch = await begun(service)
    service.server.refuse()
    async with asyncio.timeout(10):
        await service.server.stop(60)
    assert (await refusal(last(watch.call))).reason == "SERVER_DRAINING"


async def test_a_load_that_waits_is_watched_from_its_beginning(service: Service) -> None:
    gate = service.directory / "gate"
    os.mkfifo(gate)
    source = service.source("m", at_probe="wait", gate=str(gate))
    loading = service.models.LoadModel(pb.LoadModelRequest(id="m", source=source))
    await loading.read()
    watch = await begun(service)
    assert [model.state for model in watch.seen[0].snapshot.models] == [LOADING]
    await asyncio.to_thread(gate.write_bytes, b"open")
    while not watch.states:
        await watch.next()
    assert watch.states == [("m", READY)]
