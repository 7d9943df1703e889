"""How a client knows that the server is the right one, and shows that it may call."""

import os
from pathlib import Path
from typing import Any

import grpc


def channel_credentials(
    tls: bool | None, ca_file: str | os.PathLike[str] | None
) -> grpc.ChannelCredentials | None:
    """None without TLS. `ca_file` is a PEM file with the authorities to trust, by default
    CORRAL_CA_FILE, else the system's; naming one turns TLS on, unless `tls` says no."""
    path = ca_file or os.environ.get("CORRAL_CA_FILE")
    if not (bool(path) if tls is None else tls):
        return None
    return grpc.ssl_channel_credentials(Path(path).read_bytes() if path else None)


def authorization(token: str | None) -> str | None:
    """What to show with every call: `token`, by default CORRAL_TOKEN; None for nothing."""
    token = os.environ.get("CORRAL_TOKEN") if token is None else token
    return f"Bearer {token}" if token else None


class _Shown(grpc.ClientCallDetails):
    """Details of a call of which only the metadata changes; gRPC keeps the others."""

    def __init__(self, details: grpc.ClientCallDetails, authorization: str) -> None:
        self.metadata = (*(details.metadata or ()), ("authorization", authorization))


class ShowToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Shows a token with every call.

    gRPC's own credentials of a call would refuse a channel without TLS.
    """

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(_Shown(details, self._authorization), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(_Shown(details, self._authorization), request)


def show_token_aio(authorization: str) -> tuple[grpc.aio.ClientInterceptor, ...]:
    """As ShowToken, for asyncio, where each kind of call wants an interceptor of its own."""

    def shown(details: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", authorization))
        return details._replace(metadata=metadata)

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(shown(details), request)

    class Stream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(
            self, continuation: Any, details: Any, request: Any
        ) -> Any:
            return await continuation(shown(details), request)

    return Unary(), Stream()
