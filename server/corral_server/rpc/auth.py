"""Who may call: those who show a token. Asked of every call before its request is read."""

from __future__ import annotations  # grpcio's classes are generic for the type checker alone

import hmac
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from corral_server.errors import ConfigInvalid, Unauthenticated
from corral_server.rpc.call import Call
from corral_server.rpc.descriptors import HEALTH
from corral_server.rpc.status import status_of

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

# Probes ask whether the server lives, and have no token. List names models, so it is not open.
OPEN = (f"/{HEALTH}/Check", f"/{HEALTH}/Watch")

_SCHEME = "bearer"


class Tokens:
    """The tokens that let a caller in, kept as digests."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    @classmethod
    def read(cls, path: str) -> Tokens:
        """One on each line of the file; empty lines and those that begin with # say nothing.
        Raises ConfigInvalid, which names lines and never what is in them."""
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ConfigInvalid(f"token_file {path} cannot be read: {why}") from error
        numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        said = [(number, line) for number, line in numbered if line and not line.startswith("#")]
        for number, token in said:
            if not (token.isascii() and token.isprintable() and " " not in token):
                why = "a token has printable ASCII characters and no spaces"
                raise ConfigInvalid(f"token_file {path}:{number}: {why}")
        if not said:
            raise ConfigInvalid(f"token_file {path} has no token in it")
        return cls([token for _, token in said])

    def admit(self, authorization: str) -> None:
        """Takes the value of the `authorization` header. Raises Unauthenticated.

        Every token is compared, each in constant time: how long it takes tells nothing.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != _SCHEME:
            raise Unauthenticated("this server wants a token: authorization: Bearer TOKEN")
        digest = _digest(token.strip())
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Unauthenticated("the token is none of this server's")


def _digest(token: str) -> bytes:
    """All of one length, which compare_digest would tell otherwise."""
    return sha256(token.encode()).digest()


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a token, those of services that do not exist included."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        if method not in OPEN:
            try:
                self._tokens.admit(_authorization(handler_call_details))
            except Unauthenticated as error:
                return _refusal(method, error)
        return await continuation(handler_call_details)


def _authorization(details: grpc.HandlerCallDetails) -> str:
    for key, value in details.invocation_metadata or ():
        if key == "authorization" and isinstance(value, str):
            return value
    return ""


def _refusal(method: str, error: Unauthenticated) -> grpc.RpcMethodHandler[Any, Any]:
    """Ends a call of any kind: on the wire the four are one, and its requests are not read."""

    async def refuse(_requests: Any, context: Context) -> None:
        Call(method.rpartition(".")[2], context.peer()).log(error.reason)
        await context.abort_with_status(rpc_status.to_status(status_of(error)))

    return grpc.stream_stream_rpc_method_handler(refuse)
