"""A running server with fake engines behind it, called through the generated stubs."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

import fake_engine
from corral.v1 import inference_pb2_grpc, model_manager_pb2_grpc, model_pb2, server_pb2_grpc
from corral.v1 import model_manager_pb2 as manager_pb
from corral_server.config import ServerConfig
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.server import GrpcServer


@dataclass(frozen=True, slots=True)
class Service:
    """A running server and a channel to it."""

    server: GrpcServer
    registry: ModelRegistry
    channel: grpc.aio.Channel
    directory: Path

    @property
    def models(self) -> Any:
        return model_manager_pb2_grpc.ModelManagerStub(self.channel)

    @property
    def inference(self) -> Any:
        return inference_pb2_grpc.InferenceStub(self.channel)

    @property
    def info(self) -> Any:
        return server_pb2_grpc.ServerStub(self.channel)

    def source(self, id: str, **script: Any) -> model_pb2.ModelSource:
        path = self.directory / f"{id}.json"
        fake_engine.write_model(path, fake_engine.Script(**script))
        return model_pb2.ModelSource(path=str(path))

    async def load(self, id: str = "m", *, default: bool = True, **script: Any) -> model_pb2.Model:
        """Loads a model that follows `script`, to the end."""
        request = manager_pb.LoadModelRequest(
            id=id, source=self.source(id, **script), make_default=default
        )
        answers = [answer async for answer in self.models.LoadModel(request)]
        model: model_pb2.Model = answers[-1].model
        return model


@asynccontextmanager
async def serving(registry: ModelRegistry, directory: Path) -> AsyncIterator[Service]:
    """A server of `registry`'s models; what tests load is written to `directory`."""
    server = GrpcServer(registry, ServerConfig(address="127.0.0.1:0"))
    port = await server.start()
    server.health.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(server, registry, channel, directory)
    await server.stop(0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call failed, its details unpacked."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    violations: dict[str, str]
    retry_after_s: float | None
    resource: str

    @property
    def reason(self) -> str:
        return self.info.reason


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Awaits a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_refusal(caught.value)


async def last(stream: Any) -> Any:
    """Reads a stream to its end; returns its last message, or None."""
    message = None
    while (read := await stream.read()) is not grpc.aio.EOF:
        message = read
    return message


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error) or status_pb2.Status()
    info = unpacked(status, error_details_pb2.ErrorInfo())
    bad = unpacked(status, error_details_pb2.BadRequest())
    retry = unpacked(status, error_details_pb2.RetryInfo())
    resource = unpacked(status, error_details_pb2.ResourceInfo())
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        info=info or error_details_pb2.ErrorInfo(),
        violations={v.field: v.description for v in bad.field_violations} if bad else {},
        retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        resource=resource.resource_name if resource else "",
    )


def unpacked(status: status_pb2.Status, detail: Any) -> Any:
    """The detail of this type, or None."""
    return next((detail for packed in status.details if packed.Unpack(detail)), None)
