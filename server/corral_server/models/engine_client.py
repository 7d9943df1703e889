"""One engine, seen from the server: how it is loaded, fed and heard."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from corral_server.config import ModelSpec, Pooling
from corral_server.errors import (
    CorralError,
    InternalError,
    ModelLoadFailed,
)
from corral_server.ipc.async_channel import AsyncChannel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import (
    Answer,
    AskLoad,
    Cancel,
    Counted,
    CountTokens,
    Crowded,
    Detokenize,
    Detokenized,
    Embed,
    Embedded,
    EngineFacts,
    EngineLoad,
    LoadFailed,
    Loading,
    Probed,
    Proceed,
    Question,
    Ready,
    Report,
    Start,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.models.admission import Admission
from corral_server.models.calls import Calls
from corral_server.models.crowd import Crowd
from corral_server.models.engine_process import EngineProcess
from corral_server.models.engine_watch import EngineWatch
from corral_server.request import (
    Event,
    Finished,
    GenerationRequest,
    Prompt,
    TextPrompt,
    Token,
    TokenPrompt,
)


class EngineClient:
    """A running engine. Made by `launch`, which also ends it."""

    def __init__(self, process: EngineProcess, channel: AsyncChannel, crowd: Crowd) -> None:
        self.pid = process.pid
        self.threads = 1
        self._watch = EngineWatch(process)
        self._channel = channel
        self._crowd = crowd
        self._is_ready = self._is_crowded = False
        self._admission = Admission()
        self._calls = Calls(self._admission, lambda call: channel.send(Cancel(call)))
        self._max_waiting = 0

    @classmethod
    @asynccontextmanager
    async def launch(
        cls, process: EngineProcess, crowd: Crowd | None = None
    ) -> AsyncIterator["EngineClient"]:
        """The engine in `process`, which nobody has used. When the block ends it is gone, whatever
        happened. `crowd`: with whom it shares the processors; by default with nobody."""
        try:
            channel = await AsyncChannel.open(process.socket)
        except BaseException:
            process.discard()
            raise
        client = cls(process, channel, crowd or Crowd())
        try:
            yield client
        finally:
            await _to_the_end(client._end())

    async def probe(self, path: Path, spec: ModelSpec, *, stall_s: float) -> Probed:
        """What the model in `path` is and will take. Raises the engine's verdict on the file."""
        self._max_waiting = spec.options.max_waiting
        start = Start(str(path), spec.options, capabilities=spec.capabilities, mode=spec.mode)
        with self._crowd.work(self):
            self._channel.send(start)
            report = await self._hear(stall_s)
        if not isinstance(report, Probed):
            raise InternalError(f"the engine answered Start with {type(report).__name__}")
        return report

    async def load(self, on_progress: Callable[[Loading], None], *, stall_s: float) -> EngineFacts:
        """Loads what was probed. Raises ModelLoadFailed, after `stall_s` of silence too."""
        with self._crowd.work(self):
            self._channel.send(Proceed())
            while isinstance(report := await self._hear(stall_s), Loading):
                on_progress(report)
        if not isinstance(report, Ready):
            raise InternalError(f"the engine answered Proceed with {type(report).__name__}")
        self._admission.limit(slots=report.facts.slots, max_waiting=self._max_waiting)
        self.threads, self._is_ready = report.facts.threads, True
        self._crowd.tell()
        return report.facts

    async def serve(self) -> None:
        """Hands out what the engine reports until it dies; then call `end`."""
        with suppress(ChannelClosed):
            while True:
                for report in await self._receive():
                    self._calls.take(report)

    def end(self, error: CorralError) -> None:
        """Ends all calls, and every later one, with `error`."""
        self._calls.end(error)

    def crowd(self, is_crowded: bool) -> None:
        """Tells the engine whether others compute on the same processors."""
        if self._is_ready and is_crowded != self._is_crowded:
            self._is_crowded = is_crowded
            self._channel.send(Crowded(is_crowded))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """The events of `request`: one Started, Deltas, one Finished.

        Leaving early, for any reason, cancels the request; that takes closing this (`aclosing`).
        Raises QueueFull at once where the engine would in the middle of its next step.
        """
        call, finished = self._calls.next_number(), False
        with (
            self._admission.admit(call),
            self._crowd.work(self),
            self._calls.generation(call) as stream,
        ):
            try:
                self._channel.send(Submit(call, request))
                while not finished:
                    event = await stream.next()
                    finished = isinstance(event, Finished)
                    yield event
            finally:
                if not finished:
                    self._channel.send(Cancel(call))

    async def embed(
        self,
        inputs: tuple[TextPrompt | TokenPrompt, ...],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
    ) -> AsyncGenerator[Embedded, None]:
        """The vectors of `inputs` in their order, in parts as they are computed.

        Leaving early, for any reason, cancels the call; that takes closing this (`aclosing`).
        """
        call, finished = self._calls.next_number(), False
        with self._crowd.work(self), self._calls.embedding(call) as stream:
            try:
                self._channel.send(
                    Embed(call=call, inputs=inputs, pooling=pooling, normalize=normalize)
                )
                while not finished:
                    part = await stream.next()
                    finished = part.is_last
                    yield part
            finally:
                if not finished:
                    self._channel.send(Cancel(call))

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool
    ) -> tuple[Token, ...]:
        call = self._calls.next_number()
        answer = await self._ask(call, Tokenize(call, text, add_special, parse_special))
        assert isinstance(answer, Tokenized)
        return answer.tokens

    async def detokenize(self, token_ids: tuple[int, ...], *, unparse_special: bool) -> bytes:
        call = self._calls.next_number()
        answer = await self._ask(call, Detokenize(call, token_ids, unparse_special))
        assert isinstance(answer, Detokenized)
        return answer.raw

    async def count_tokens(self, prompt: Prompt) -> int:
        call = self._calls.next_number()
        answer = await self._ask(call, CountTokens(call, prompt))
        assert isinstance(answer, Counted)
        return answer.tokens

    async def load_report(self) -> EngineLoad:
        """How busy it is."""
        call = self._calls.next_number()
        answer = await self._ask(call, AskLoad(call))
        assert isinstance(answer, EngineLoad)
        return answer

    async def obituary(self) -> str:
        """How the process ended and what it said last."""
        return await self._watch.obituary()

    async def _ask(self, call: int, question: Question) -> Answer:
        with self._calls.question(call) as answer:
            self._channel.send(question)
            return await answer

    async def _hear(self, stall_s: float) -> Report:
        """The next report of a load; the engine sends one a frame until it is ready."""
        try:
            async with asyncio.timeout(stall_s):
                report, *more = await self._receive()
        except TimeoutError as error:
            raise ModelLoadFailed(f"the load made no progress for {stall_s:g} s") from error
        except ChannelClosed as error:
            raise ModelLoadFailed(f"the engine died: {await self.obituary()}") from error
        if more:
            raise InternalError("the engine sent more than one report while it was loading")
        if isinstance(report, LoadFailed):
            raise report.failure.error()
        return report

    async def _receive(self) -> list[Report]:
        try:
            return await self._channel.receive()
        except msgspec.DecodeError as error:
            raise InternalError(f"the engine sent a frame that makes no sense: {error}") from error

    async def _end(self) -> None:
        self._channel.close()
        await self._watch.end()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Does `work` whole, even if the caller is cancelled meanwhile; it is told after."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
