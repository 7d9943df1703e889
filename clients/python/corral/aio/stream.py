"""Receiving the messages of one call."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from google.protobuf.message import Message

from corral.answers import Delta, PartialAnswer
from corral.embeddings import Embedding, PartialEmbeddings
from corral.errors import translated
from corral.v1.inference_pb2 import (
    ChatStreamResponse,
    EmbedStreamResponse,
    GenerateStreamResponse,
)

Event = TypeVar("Event", bound=Message)
Event_co = TypeVar("Event_co", covariant=True)
AnswerEvent = TypeVar("AnswerEvent", bound=GenerateStreamResponse | ChatStreamResponse)


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


class Stream(Generic[Event]):
    """The messages of one call, which can be cancelled."""

    def __init__(self, call: StreamCall[Event], address: str) -> None:
        self._call: StreamCall[Event] = call
        self._messages: AsyncIterator[Event] = receive(call, address)
        self._cancelled = False

    async def events(self) -> AsyncIterator[Event]:
        """The contract's messages that are still to come, as they are."""
        while (event := await self._receive()) is not None:
            yield event

    async def _receive(self) -> Event | None:
        """The next message; None at the end."""
        try:
            return await anext(self._messages, None)
        except asyncio.CancelledError:
            # grpc.aio tells of a cancelled call as if our task had been cancelled.
            task = asyncio.current_task()
            if not self._cancelled or (task is not None and task.cancelling()):
                raise
            return None

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


class AnswerStream(PartialAnswer, Stream[AnswerEvent], AsyncIterator[Delta]):
    """An answer while it is written: iterate it for its deltas. As corral.AnswerStream.

        async with client.inference.generate_stream("Once upon a time") as stream:
            async for delta in stream:
                print(delta, end="", flush=True)
        print(stream.finished)

    Leaving the `async with` block early or cancelling the task cancels the call; so does dropping
    the stream.
    """

    def __init__(self, call: StreamCall[AnswerEvent], address: str) -> None:
        PartialAnswer.__init__(self)
        Stream.__init__(self, call, address)

    async def __anext__(self) -> Delta:
        while (event := await self._receive()) is not None:
            if event.HasField("delta"):
                return Delta(event.delta)
        raise StopAsyncIteration

    async def _receive(self) -> AnswerEvent | None:
        event = await super()._receive()
        if event is not None:
            self._accept(event)
        return event


class EmbeddingStream(PartialEmbeddings, Stream[EmbedStreamResponse], AsyncIterator[Embedding]):
    """Embeddings while they are computed. As corral.EmbeddingStream."""

    def __init__(self, call: StreamCall[EmbedStreamResponse], address: str) -> None:
        PartialEmbeddings.__init__(self)
        Stream.__init__(self, call, address)
        self._ready: deque[Embedding] = deque()

    async def __anext__(self) -> Embedding:
        while not self._ready:
            event = await self._receive()
            if event is None:
                raise StopAsyncIteration
            self._ready.extend(map(Embedding, event.embeddings))
        return self._ready.popleft()

    async def _receive(self) -> EmbedStreamResponse | None:
        event = await super()._receive()
        if event is not None:
            self._accept(event)
        return event
