"""The server itself, awaited."""

from collections.abc import Sequence

import grpc

from corral.errors import translated
from corral.v1.server_pb2 import (
    GetLoadRequest,
    GetServerInfoRequest,
    GetServerInfoResponse,
    ModelLoad,
)
from corral.v1.server_pb2_grpc import ServerStub


class Server:
    """Methods, arguments and errors are those of corral.sync.server.Server."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub = ServerStub(channel)
        self._address = address

    async def info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        with translated(self._address):
            return await self._stub.GetServerInfo(GetServerInfoRequest(), timeout=timeout)

    async def get_load(
        self, model: str | None = None, *, timeout: float | None = None
    ) -> Sequence[ModelLoad]:
        request = GetLoadRequest(model=model or "")
        with translated(self._address):
            response = await self._stub.GetLoad(request, timeout=timeout)
        return response.models
