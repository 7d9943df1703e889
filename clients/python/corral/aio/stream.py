"""Receiving the messages of one call."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from corral.answers import Delta, PartialAnswer
from corral.errors import translated
from corral.v1.inference_pb2 import ChatStreamResponse, GenerateStreamResponse

Event_co = TypeVar("Event_co", covariant=True)
AnswerEvent = TypeVar("AnswerEvent", GenerateStreamResponse, ChatStreamResponse)


class StreamCall(Protocol[Event_co]):
    """What grpc.aio returns for a call that answers with a stream."""

    def __aiter__(self) -> AsyncIterator[Event_co]: ...

    def cancel(self) -> bool: ...


async def receive(call: StreamCall[Event_co], address: str) -> AsyncIterator[Event_co]:
    """The call's messages. Leaving before the last cancels the call."""
    try:
        with translated(address):
            async for event in call:
                yield event
    finally:
        call.cancel()  # does nothing where the call is over


class AnswerStream(PartialAnswer, Generic[AnswerEvent]):
    """An answer while it is written, as corral.AnswerStream.

    async with client.inference.generate_stream("Once upon a time") as stream:
        async for delta in stream:
            print(delta, end="", flush=True)
    print(stream.finished)
    """

    def __init__(self, call: StreamCall[AnswerEvent], address: str) -> None:
        super().__init__()
        self._call: StreamCall[AnswerEvent] = call
        self._address = address
        self._cancelled = False

    async def __aiter__(self) -> AsyncIterator[Delta]:
        async for event in self.events():
            if event.HasField("delta"):
                yield Delta(event.delta)

    async def events(self) -> AsyncIterator[AnswerEvent]:
        """The contract's messages, instead of the deltas."""
        try:
            async for event in receive(self._call, self._address):
                self._accept(event)
                yield event
        except asyncio.CancelledError:
            # grpc.aio tells of a cancelled call as if our task had been cancelled.
            task = asyncio.current_task()
            if not self._cancelled or (task is not None and task.cancelling()):
                raise

    def cancel(self) -> None:
        """Ends the call; the loop ends without an error. Any task may call this, at any time."""
        self._cancelled = True
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()
