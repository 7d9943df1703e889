"""The server itself, awaited."""

import grpc

from corral.errors import translated
from corral.v1.server_pb2 import GetServerInfoRequest, GetServerInfoResponse
from corral.v1.server_pb2_grpc import ServerStub


class Server:
    """Methods, arguments and errors are those of corral.sync.server.Server."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub = ServerStub(channel)
        self._address = address

    async def info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        with translated(self._address):
            return await self._stub.GetServerInfo(GetServerInfoRequest(), timeout=timeout)
