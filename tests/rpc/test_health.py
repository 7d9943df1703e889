"""grpc.health.v1, as load balancers and probes see it."""

import asyncio
import os
import signal
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corral_server.rpc.descriptors import make_pool, message_class
from corral_server.rpc.server import SERVICES
from rpc.service import Service, refusal

pytestmark = pytest.mark.asyncio

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def request(name: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=name)


def stub(service: Service) -> Any:
    return health_pb2_grpc.HealthStub(service.channel)


async def check(service: Service, name: str) -> Any:
    return (await stub(service).Check(request(name))).status


class Watcher:
    """An open Watch."""

    def __init__(self, service: Service, name: str) -> None:
        self._call = stub(service).Watch(request(name))

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            answer = await self._call.read()
        return answer if answer is grpc.aio.EOF else answer.status

    async def until(self, status: Any) -> None:
        while await self.next() != status:
            pass

    def leave(self) -> None:
        self._call.cancel()


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_the_process_and_its_services_serve(service: Service, name: str) -> None:
    assert await check(service, name) == SERVING


async def test_a_model_serves_when_it_is_ready(service: Service) -> None:
    await service.load()
    assert await check(service, "model/m") == SERVING


async def test_a_model_that_failed_does_not_serve(service: Service) -> None:
    await refusal(service.load(at_load="fail"))
    assert await check(service, "model/m") == NOT_SERVING


async def test_check_of_an_unknown_name_is_not_found(service: Service) -> None:
    refused = await refusal(stub(service).Check(request("model/m")))
    assert refused.code is grpc.StatusCode.NOT_FOUND


async def test_watch_of_an_unknown_name_waits_for_it_to_come(service: Service) -> None:
    watch = Watcher(service, "model/m")
    assert await watch.next() == SERVICE_UNKNOWN
    await service.load()
    await watch.until(SERVING)


async def test_watch_tells_an_unload(service: Service) -> None:
    await service.load()
    watch = Watcher(service, "model/m")
    assert await watch.next() == SERVING
    await service.registry.unload("m", drain_timeout_s=0)
    await watch.until(SERVICE_UNKNOWN)


async def test_watch_tells_a_death_and_the_return(service: Service) -> None:
    await service.load()
    watch = Watcher(service, "model/m")
    assert await watch.next() == SERVING
    engine = service.registry.resolve("m").engine
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    assert await watch.next() == NOT_SERVING
    assert await watch.next() == SERVING


async def test_watch_tells_nothing_twice(service: Service) -> None:
    watch = Watcher(service, "")
    assert await watch.next() == SERVING
    await service.load()
    service.server.health.stop()
    assert await watch.next() == NOT_SERVING


async def test_a_watcher_that_leaves_takes_nobody_along(service: Service) -> None:
    one, other = Watcher(service, "model/m"), Watcher(service, "model/m")
    assert [await one.next(), await other.next()] == [SERVICE_UNKNOWN] * 2
    one.leave()
    await service.load()
    await other.until(SERVING)


async def test_list_names_everything(service: Service) -> None:
    await service.load("a")
    await refusal(service.load("b", at_load="fail"))
    pool = make_pool()
    response: Any = message_class(pool, "grpc.health.v1.HealthListResponse")
    empty: type[Message] = message_class(pool, "grpc.health.v1.HealthListRequest")
    listing: Any = service.channel.unary_unary(
        "/grpc.health.v1.Health/List", response_deserializer=response.FromString
    )
    answer = await listing(empty().SerializeToString())
    assert {name: answer.statuses[name].status for name in answer.statuses} == {
        **dict.fromkeys(("", *SERVICES, "model/a"), SERVING),
        "model/b": NOT_SERVING,
    }


@pytest.mark.parametrize("name", ["", SERVICES[0], "model/m"])
async def test_at_the_stop_a_watch_tells_it_and_ends(service: Service, name: str) -> None:
    await service.load()
    watch = Watcher(service, name)
    assert await watch.next() == SERVING
    service.server.health.stop()
    assert [await watch.next(), await watch.next()] == [NOT_SERVING, grpc.aio.EOF]


async def test_an_open_watch_does_not_hold_up_the_stop(service: Service) -> None:
    watch = Watcher(service, "")
    assert await watch.next() == SERVING
    service.server.refuse()
    async with asyncio.timeout(5):
        await service.server.stop(60)
