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


class AnswerStream(PartialAnswer, Generic[AnswerEvent]):
    """An answer while it is written: iterate it for its deltas.

        with client.inference.generate_stream("Once upon a time") as stream:
            for delta in stream:
                print(delta, end="", flush=True)
        print(stream.finished)

    `started`, `finished` and `text` tell what came so far, during and after. Leaving the `with`
    block or the loop early cancels the call, which frees the model at once. A call that fails
    half-way raises from the loop; the text before it stays valid.
    """

    def __init__(self, call: StreamCall[AnswerEvent], address: str) -> None:
        super().__init__()
        self._call: StreamCall[AnswerEvent] = call
        self._address = address
        self._cancelled = False

    def __iter__(self) -> Iterator[Delta]:
        for event in self.events():
            if event.HasField("delta"):
                yield Delta(event.delta)

    def events(self) -> Iterator[AnswerEvent]:
        """The contract's messages, instead of the deltas."""
        try:
            for event in receive(self._call, self._address):
                self._accept(event)
                yield event
        except Cancelled:
            if not self._cancelled:
                raise

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
