"""The server itself."""

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
    """Describes the server."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = ServerStub(channel)
        self._address = address

    def info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        """What runs, since when, what it can do and where its limits are."""
        with translated(self._address):
            return self._stub.GetServerInfo(GetServerInfoRequest(), timeout=timeout)

    def get_load(
        self, model: str | None = None, *, timeout: float | None = None
    ) -> Sequence[ModelLoad]:
        """How busy a model is, by its id or an alias; of all that are ready if none is named."""
        request = GetLoadRequest(model=model or "")
        with translated(self._address):
            response = self._stub.GetLoad(request, timeout=timeout)
        return response.models
