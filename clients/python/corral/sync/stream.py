"""Receiving the messages of one call."""

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from google.protobuf.message import Message

from corral.answers import Delta, PartialAnswer
from corral.embeddings import Embedding, PartialEmbeddings
from corral.errors import Cancelled, translated
from corral.v1.inference_pb2 import (
    ChatStreamResponse,
    EmbedStreamResponse,
    GenerateStreamResponse,
)

Event = TypeVar("Event", bound=Message)
Event_co = TypeVar("Event_co", covariant=True)
AnswerEvent = TypeVar("AnswerEvent", bound=GenerateStreamResponse | ChatStreamResponse)


class StreamCall(Protocol[Event_co]):
    """What grpc returns for a call that answers with a stream."""

    def __iter__(self) -> Iterator[Event_co]: ...

    def cancel(self) -> bool: ...


def receive(call: StreamCall[Event_co], address: str) -> Iterator[Event_co]:
    """The call's messages. Leaving before the last cancels the call."""
    try:
        with translated(address):
            yield from iter(call)
    finally:
        call.cancel()  # does nothing where the call is over


class Stream(Generic[Event]):
    """The messages of one call, which can be cancelled."""

    def __init__(self, call: StreamCall[Event], address: str) -> None:
        self._call: StreamCall[Event] = call
        self._messages: Iterator[Event] = receive(call, address)
        self._cancelled = False

    def events(self) -> Iterator[Event]:
        """The contract's messages that are still to come, as they are."""
        while (event := self._receive()) is not None:
            yield event

    def _receive(self) -> Event | None:
        """The next message; None at the end."""
        try:
            return next(self._messages, None)
        except Cancelled:
            if not self._cancelled:
                raise
            return None

    def cancel(self) -> None:
        """Ends the call; the loop ends without an error. Any thread may call this, at any time."""
        self._cancelled = True
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()


class AnswerStream(PartialAnswer, Stream[AnswerEvent], Iterator[Delta]):
    """An answer while it is written: iterate it for its deltas.

        with client.inference.generate_stream("Once upon a time") as stream:
            for delta in stream:
                print(delta, end="", flush=True)
        print(stream.finished)

    `started`, `finished` and `text` tell what came so far, during and after. Leaving the `with`
    block early cancels the call, which frees the model at once; so does dropping the stream. A
    call that fails half-way raises from the loop; the text before it stays valid.
    """

    def __init__(self, call: StreamCall[AnswerEvent], address: str) -> None:
        PartialAnswer.__init__(self)
        Stream.__init__(self, call, address)

    def __iter__(self) -> Iterator[Delta]:
        return self._read()

    def __next__(self) -> Delta:
        return next(self._read())

    def _read(self) -> Iterator[Delta]:
        """The deltas that are still to come. What is done here for each of them is all that this
        client costs, so it is little."""
        try:
            for event in self._messages:
                if event.HasField("delta"):
                    delta = event.delta
                    self._parts.append(delta)
                    yield Delta(delta)
                else:
                    self._accept(event)
        except Cancelled:
            if not self._cancelled:
                raise

    def _receive(self) -> AnswerEvent | None:
        event = super()._receive()
        if event is not None:
            self._accept(event)
        return event


class EmbeddingStream(PartialEmbeddings, Stream[EmbedStreamResponse], Iterator[Embedding]):
    """Embeddings while they are computed: iterate it for them, in the order of the inputs.

    `model`, `request_id` and `usage` tell what is known so far. Leaving its `with` block early
    cancels the call; so does dropping the stream.
    """

    def __init__(self, call: StreamCall[EmbedStreamResponse], address: str) -> None:
        PartialEmbeddings.__init__(self)
        Stream.__init__(self, call, address)
        self._ready: deque[Embedding] = deque()

    def __next__(self) -> Embedding:
        while not self._ready:
            event = self._receive()
            if event is None:
                raise StopIteration
            self._ready.extend(map(Embedding, event.embeddings))
        return self._ready.popleft()

    def _receive(self) -> EmbedStreamResponse | None:
        event = super()._receive()
        if event is not None:
            self._accept(event)
        return event
