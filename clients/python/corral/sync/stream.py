"""Receiving the messages of one call."""

from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from corral.answers import Delta, PartialAnswer
from corral.errors import Cancelled, translated
from corral.v1.inference_pb2 import ChatStreamResponse, GenerateStreamResponse

Event_co = TypeVar("Event_co", covariant=True)
AnswerEvent = TypeVar("AnswerEvent", GenerateStreamResponse, ChatStreamResponse)


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


class AnswerStream(PartialAnswer, Iterator[Delta], Generic[AnswerEvent]):
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
        super().__init__()
        self._call: StreamCall[AnswerEvent] = call
        self._messages: Iterator[AnswerEvent] = receive(call, address)
        self._cancelled = False

    def __next__(self) -> Delta:
        while (event := self._receive()) is not None:
            if event.HasField("delta"):
                return Delta(event.delta)
        raise StopIteration

    def events(self) -> Iterator[AnswerEvent]:
        """The contract's messages that are still to come, instead of the deltas."""
        while (event := self._receive()) is not None:
            yield event

    def _receive(self) -> AnswerEvent | None:
        """The next message, taken in; None at the end."""
        try:
            event = next(self._messages, None)
        except Cancelled:
            if not self._cancelled:
                raise
            return None
        if event is not None:
            self._accept(event)
        return event

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
