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


class AnswerStream(PartialAnswer, AsyncIterator[Delta], Generic[AnswerEvent]):
    """An answer while it is written: iterate it for its deltas. As corral.AnswerStream.

        async with client.inference.generate_stream("Once upon a time") as stream:
            async for delta in stream:
                print(delta, end="", flush=True)
        print(stream.finished)

    Leaving the `async with` block early or cancelling the task cancels the call; so does dropping
    the stream.
    """

    def __init__(self, call: StreamCall[AnswerEvent], address: str) -> None:
        super().__init__()
        self._call: StreamCall[AnswerEvent] = call
        self._messages: AsyncIterator[AnswerEvent] = receive(call, address)
        self._cancelled = False

    async def __anext__(self) -> Delta:
        while (event := await self._receive()) is not None:
            if event.HasField("delta"):
                return Delta(event.delta)
        raise StopAsyncIteration

    async def events(self) -> AsyncIterator[AnswerEvent]:
        """The contract's messages that are still to come, instead of the deltas."""
        while (event := await self._receive()) is not None:
            yield event

    async def _receive(self) -> AnswerEvent | None:
        """The next message, taken in; None at the end."""
        try:
            event = await anext(self._messages, None)
        except asyncio.CancelledError:
            # grpc.aio tells of a cancelled call as if our task had been cancelled.
            task = asyncio.current_task()
            if not self._cancelled or (task is not None and task.cancelling()):
                raise
            return None
        if event is not None:
            self._accept(event)
        return event

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
