"""The server itself."""

import grpc

from corral.errors import translated
from corral.v1.server_pb2 import GetServerInfoRequest, GetServerInfoResponse
from corral.v1.server_pb2_grpc import ServerStub


class Server:
    """Describes the server."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = ServerStub(channel)
        self._address = address

    def info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        """What runs, since when, what it can do and where its limits are."""
        with translated(self._address):
            return self._stub.GetServerInfo(GetServerInfoRequest(), timeout=timeout)
