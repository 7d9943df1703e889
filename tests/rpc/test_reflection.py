"""Both reflections, asked as grpcurl and buf curl ask."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from corral_server.rpc.descriptors import HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA
from corral_server.rpc.server import SERVICES
from rpc.service import Service

pytestmark = pytest.mark.asyncio

VERSIONS = (REFLECTION_V1, REFLECTION_V1ALPHA)
ALL = (*SERVICES, HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA)
DETAILS = ("ErrorInfo", "BadRequest", "RetryInfo", "ResourceInfo")
OTHERS = (
    "corral.v1.ErrorReason",
    "corral.v1.GenerateRequest.prompt",
    *(f"google.rpc.{detail}" for detail in DETAILS),
)


async def ask(service: Service, version: str, **question: Any) -> ServerReflectionResponse:
    method: Any = service.channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    call = method(iter([ServerReflectionRequest(**question)]))
    answers = [answer async for answer in call]
    answer: ServerReflectionResponse = answers[0]
    return answer


async def pool_of(service: Service, version: str, symbol: str) -> DescriptorPool:
    """All that is needed to call `symbol`, and nothing from this process."""
    answer = await ask(service, version, file_containing_symbol=symbol)
    pool = DescriptorPool()
    waiting = [
        FileDescriptorProto.FromString(raw)
        for raw in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert waiting, answer.error_response
    known: set[str] = set()
    while waiting:
        file = waiting.pop(0)
        if missing := [name for name in file.dependency if name not in known]:
            answer = await ask(service, version, file_by_filename=missing[0])
            (raw, *_) = answer.file_descriptor_response.file_descriptor_proto
            waiting[:0] = [FileDescriptorProto.FromString(raw), file]
        elif file.name not in known:
            known.add(file.name)
            pool.Add(file)
    return pool


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_service_is_listed(service: Service, version: str) -> None:
    answer = await ask(service, version, list_services="")
    names = [found.name for found in answer.list_services_response.service]
    assert sorted(names) == sorted(ALL)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALL)
async def test_every_service_is_described_with_all_it_needs(
    service: Service, version: str, name: str
) -> None:
    found: Any = (await pool_of(service, version, name)).FindServiceByName(name)
    assert found.methods
    for method in found.methods:
        assert method.input_type.full_name and method.output_type.full_name


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_symbol_of_ours_is_found(service: Service, version: str) -> None:
    for name in SERVICES:
        described: Any = (await pool_of(service, version, name)).FindServiceByName(name)
        for symbol in symbols(described):
            answer = await ask(service, version, file_containing_symbol=symbol)
            assert answer.file_descriptor_response.file_descriptor_proto, symbol


def symbols(service: Any) -> Iterator[str]:
    for method in service.methods:
        yield method.full_name
        yield method.input_type.full_name
        yield method.output_type.full_name


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("symbol", OTHERS)
async def test_what_errors_hold_is_described_too(
    service: Service, version: str, symbol: str
) -> None:
    answer = await ask(service, version, file_containing_symbol=symbol)
    assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("version", VERSIONS)
async def test_health_is_described_with_its_list(service: Service, version: str) -> None:
    health: Any = (await pool_of(service, version, HEALTH)).FindServiceByName(HEALTH)
    assert [method.name for method in health.methods] == ["Check", "Watch", "List"]
    statuses = health.methods_by_name["List"].output_type.fields_by_name["statuses"]
    assert statuses.message_type.GetOptions().map_entry


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_symbol_is_an_error_in_the_answer(service: Service, version: str) -> None:
    answer = await ask(service, version, file_containing_symbol="corral.v1.None")
    assert answer.WhichOneof("message_response") == "error_response"
