"""The edge of every call of ours: what goes in is a Call, what goes wrong comes out as a status.

Servicers behind it take (request, call) and raise CorralError. Calls of other services, health and
reflection, pass untouched.
"""

from __future__ import annotations  # grpcio's classes are generic for the type checker alone

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from corral_server.errors import CorralError, InternalError, MalformedRequest, ServerDraining
from corral_server.rpc.call import Call
from corral_server.rpc.status import pushback_of, status_of

_OURS = "/corral."
_log = logging.getLogger("corral.rpc")

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands for a request whose bytes are not its message: a deserializer cannot refuse."""

    why: str


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """One for the server; `draining` refuses new calls."""

    def __init__(self) -> None:
        self.draining = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_idle(self) -> bool:
        """Whether no call is running."""
        return self._idle.is_set()

    async def idle(self) -> None:
        """Waits until no call is running."""
        await self._idle.wait()

    @contextmanager
    def _admitted(self, request: Any) -> Iterator[None]:
        """Counts a call as running, or raises why it is refused."""
        self._admit(request)
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return handler
        wrap = self._wrap_stream if handler.response_streaming else self._wrap_unary
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(
            wrap(method.rpartition(".")[2], handler),
            request_deserializer=_forgiving(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _wrap_unary(self, method: str, handler: Any) -> Callable[[Any, Context], Any]:
        async def serve(request: Any, context: Context) -> Any:
            call = _call(method, context)
            try:
                with self._admitted(request):
                    response = await handler.unary_unary(request, call)
            except (Exception, asyncio.CancelledError) as error:
                await _refuse(context, call, error)
            call.log("OK")
            return response

        return serve

    def _wrap_stream(self, method: str, handler: Any) -> Callable[[Any, Context], Any]:
        async def serve(request: Any, context: Context) -> AsyncIterator[Any]:
            call = _call(method, context)
            try:
                with self._admitted(request):
                    async with aclosing(handler.unary_stream(request, call)) as responses:
                        async for response in responses:
                            yield response
            except GeneratorExit:
                call.log("CANCELLED")
                raise
            except (Exception, asyncio.CancelledError) as error:
                await _refuse(context, call, error)
            call.log("OK")

        return serve

    def _admit(self, request: Any) -> None:
        if self.draining:
            raise ServerDraining("the server is stopping", retry_after_s=1.0)
        if isinstance(request, _Malformed):
            raise MalformedRequest(f"the request cannot be decoded: {request.why}")


def _call(method: str, context: Context) -> Call:
    left_s = context.time_remaining()
    return Call(method, context.peer(), None if left_s is None else time.monotonic() + left_s)


def _forgiving(deserialize: Any) -> Callable[[bytes], Any]:
    def decode(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError as error:
            return _Malformed(str(error))

    return decode


async def _refuse(context: Context, call: Call, error: BaseException) -> NoReturn:
    """Ends the call with the status of `error`; a cancelled call ends as what it is."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            call.log("CANCELLED")
            raise error
        # Born in the server, not in the caller: passed on, it would leave the caller waiting.
        _log.error("%s was cancelled from within", call.method)
        error = InternalError("the call was cancelled by the server")
    if not isinstance(error, CorralError):
        _log.error("%s failed", call.method, exc_info=error)
        error = InternalError("the server failed; its log says why")
    fault = isinstance(error, InternalError)
    if fault and "request_id" in call.notes:
        # By it the one who reports the fault finds its lines in the log.
        error.metadata["request_id"] = str(call.notes["request_id"])
    call.log(error.reason, level=logging.ERROR if fault else logging.INFO)
    status = rpc_status.to_status(status_of(error))
    trailers = (*status.trailing_metadata, *pushback_of(error))
    await context.abort(status.code, status.details, trailers)
    raise AssertionError("abort always raises")
