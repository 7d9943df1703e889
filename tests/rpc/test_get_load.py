"""How busy models are, through gRPC."""

import asyncio
import os
from typing import Any

import grpc
import pytest

from corral.v1 import inference_pb2, server_pb2
from corral.v1 import model_manager_pb2 as manager_pb
from fake_engine import Prompts
from rpc.service import Service, last, refusal

pytestmark = pytest.mark.asyncio


async def get_load(service: Service, model: str = "") -> list[server_pb2.ModelLoad]:
    response = await service.info.GetLoad(server_pb2.GetLoadRequest(model=model))
    return list(response.models)


def loading(service: Service, id: str, **fields: Any) -> Any:
    """A load that does not end by itself."""
    source = service.source(id, at_load="stall")
    return service.models.LoadModel(manager_pb.LoadModelRequest(id=id, source=source, **fields))


async def test_it_tells_all_the_engine_tells(service: Service) -> None:
    await service.load(estimated_wait_s=1.5)
    request = inference_pb2.GenerateStreamRequest(prompt=Prompts.HOLD)
    held = service.inference.GenerateStream(request)
    await held.read()
    (load,) = await get_load(service)
    assert load.estimated_wait.ToMilliseconds() == 1500
    load.ClearField("estimated_wait")
    assert load == server_pb2.ModelLoad(
        model="m",
        slots=8,
        running=1,
        waiting=1,
        max_waiting=256,
        cells=800,
        cells_used=30,
        cells_cached=70,
        completion_tokens_per_second=12.5,
        prompt_tokens_per_second=400.0,
        prompt_cached_ratio=0.25,
    )
    held.cancel()


async def test_a_wait_of_which_nothing_is_known_is_absent(service: Service) -> None:
    await service.load()
    (load,) = await get_load(service)
    assert not load.HasField("estimated_wait")


async def test_all_that_are_ready_come_in_the_order_of_their_ids(service: Service) -> None:
    for id in ("c", "a", "b"):
        await service.load(id)
    slow = loading(service, "aa")
    await slow.read()
    assert [load.model for load in await get_load(service)] == ["a", "b", "c"]
    slow.cancel()


async def test_without_a_model_there_is_no_load(service: Service) -> None:
    assert await get_load(service) == []


async def test_one_is_asked_for_by_its_id_or_an_alias(service: Service) -> None:
    await service.load("other")
    request = manager_pb.LoadModelRequest(id="m", source=service.source("m"), aliases=["short"])
    await last(service.models.LoadModel(request))
    for name in ("m", "short"):
        assert [load.model for load in await get_load(service, name)] == ["m"]


async def test_an_unknown_model_is_not_found(service: Service) -> None:
    refused = await refusal(service.info.GetLoad(server_pb2.GetLoadRequest(model="x")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_one_that_is_still_loading_has_no_load(service: Service) -> None:
    slow = loading(service, "slow")
    await slow.read()
    assert await get_load(service, "slow") == []
    slow.cancel()


async def test_one_that_failed_is_told_as_its_calls_are(service: Service) -> None:
    request = manager_pb.LoadModelRequest(id="torn", source=service.source("torn", at_load="fail"))
    assert (await refusal(last(service.models.LoadModel(request)))).reason == "MODEL_FILE_INVALID"
    refused = await refusal(service.info.GetLoad(server_pb2.GetLoadRequest(model="torn")))
    assert refused.reason == "MODEL_FAILED"


async def test_an_engine_that_dies_meanwhile_is_left_out_of_all(service: Service) -> None:
    await service.load("good")
    await service.load("mortal", when_asked="kill")
    assert [load.model for load in await get_load(service)] == ["good"]


async def test_an_engine_that_dies_meanwhile_is_told_to_who_asked_for_it(service: Service) -> None:
    await service.load("mortal", when_asked="kill")
    refused = await refusal(service.info.GetLoad(server_pb2.GetLoadRequest(model="mortal")))
    assert refused.reason == "ENGINE_RESTARTING"


async def test_asking_does_not_count_as_using(service: Service) -> None:
    await service.load()
    before = service.registry.resolve("m").idle_since
    await get_load(service)
    await get_load(service, "m")
    assert service.registry.resolve("m").idle_since == before


async def test_engines_are_asked_at_the_same_time(service: Service) -> None:
    """The first one answers only when the second one has been asked."""
    gate = service.directory / "gate"
    os.mkfifo(gate)
    await service.load("a", when_asked="wait", gate=str(gate))
    await service.load("b", when_asked="open", gate=str(gate))
    async with asyncio.timeout(10):
        assert [load.model for load in await get_load(service)] == ["a", "b"]
