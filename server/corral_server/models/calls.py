"""The calls an engine is computing: what it reports of each goes to whoever reads that."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TypeVar

from corral_server.errors import CorralError, InternalError, SlowConsumer
from corral_server.ipc.messages import (
    Answer,
    Counted,
    Detokenized,
    Embedded,
    EngineLoad,
    Output,
    Rejected,
    Report,
    Tokenized,
)
from corral_server.models.admission import Admission
from corral_server.models.embedding_stream import EmbeddingStream
from corral_server.models.event_stream import EventStream
from corral_server.request import Event, Finished, Started

Reader = TypeVar("Reader")


class Calls:
    """Each has a number, which names it to the engine, and a reader, with whom it ends."""

    def __init__(self, admission: Admission, cancel: Callable[[int], None]) -> None:
        """`admission` hears of generations that begin and end. `cancel` tells the engine that
        nobody wants a call any more."""
        self._admission = admission
        self._cancel = cancel
        self._numbers = count(1)
        self._generations: dict[int, EventStream] = {}
        self._embeddings: dict[int, EmbeddingStream] = {}
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._ended_by: CorralError | None = None

    def __len__(self) -> int:
        return len(self._generations) + len(self._embeddings) + len(self._answers)

    def next_number(self) -> int:
        """That of a new call. Raises the error with which all were ended."""
        if self._ended_by is not None:
            raise self._ended_by
        return next(self._numbers)

    def generation(self, call: int) -> AbstractContextManager[EventStream]:
        """What is reported of a Submit, while the block lasts."""
        return _listed(self._generations, call, EventStream())

    def embedding(self, call: int) -> AbstractContextManager[EmbeddingStream]:
        """What is reported of an Embed, while the block lasts."""
        return _listed(self._embeddings, call, EmbeddingStream())

    def question(self, call: int) -> AbstractContextManager[asyncio.Future[Answer]]:
        """The answer to a Question, while the block lasts."""
        return _listed(self._answers, call, asyncio.get_running_loop().create_future())

    def end(self, error: CorralError) -> None:
        """Ends all calls, and every later one, with `error`."""
        self._ended_by = self._ended_by or error
        for call in (*self._generations, *self._embeddings, *self._answers):
            self._fail(call, error)

    def take(self, report: Report) -> None:
        """Hands `report` on. One for a call that is gone is dropped: the engine had not heard of
        that yet."""
        match report:
            case Output():
                if (stream := self._generations.get(report.call)) is not None:
                    self._push(report.call, stream, report.event)
            case Embedded():
                if (vectors := self._embeddings.get(report.call)) is not None:
                    vectors.push(report)
            case Rejected():
                self._fail(report.call, report.failure.error())
            case Tokenized() | Detokenized() | Counted() | EngineLoad():
                if (answer := self._answers.get(report.call)) is not None and not answer.done():
                    answer.set_result(report)
            case _:
                raise InternalError(f"an engine that is ready reported {type(report).__name__}")

    def _push(self, call: int, stream: EventStream, event: Event) -> None:
        match event:
            case Started():
                self._admission.started(wait_s=event.estimated_wait_s)
            case Finished():
                self._admission.finished(call)
        if stream.is_full and not stream.has_failed:
            stream.fail(SlowConsumer("the answer was read too slowly and was cut off"))
            self._cancel(call)
        stream.push(event)

    def _fail(self, call: int, error: CorralError) -> None:
        if (stream := self._generations.get(call)) is not None:
            stream.fail(error)
        elif (vectors := self._embeddings.get(call)) is not None:
            vectors.fail(error)
        elif (answer := self._answers.get(call)) is not None and not answer.done():
            answer.set_exception(error)


@contextmanager
def _listed(readers: dict[int, Reader], call: int, reader: Reader) -> Iterator[Reader]:
    """`reader` among `readers` while the block lasts."""
    readers[call] = reader
    try:
        yield reader
    finally:
        del readers[call]
