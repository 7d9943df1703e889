"""The engine's life once it is ready: hear, decide, compute, tell."""

import time
from collections.abc import Callable
from typing import Protocol, assert_never

from corral_server.engine.batch import Batch, Operation
from corral_server.engine.ear import Ear
from corral_server.engine.embeddings import Embeddings
from corral_server.engine.lull import lull_s
from corral_server.engine.outbox import Outbox
from corral_server.engine.prompt import PromptEncoder
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Pieces, Sampler, Sequence
from corral_server.errors import (
    CapabilityNotSupported,
    ContextLengthExceeded,
    CorralError,
    FieldViolation,
    InternalError,
    InvalidFields,
)
from corral_server.ipc.channel import Channel
from corral_server.ipc.messages import (
    Answer,
    AskLoad,
    Cancel,
    Command,
    Counted,
    CountTokens,
    Crowded,
    Detokenize,
    Detokenized,
    Embed,
    Failure,
    Output,
    Proceed,
    Question,
    Rejected,
    Report,
    Start,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.llama.context import Interrupted, NoCells
from corral_server.request import GenerationRequest, Started, Token

# A token can be hundreds of bytes long, and a frame has its limit.
_MAX_DETOKENIZED_BYTES = 16 * 1024 * 1024

# A step with fewer tokens of prompts is over before it is worth to be interrupted.
_LONG_TOKENS = 16


class Runner(Protocol):
    """What computes: llama.cpp, or a script in tests."""

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> Sampler | None: ...

    def carry_out(self, operations: list[Operation]) -> None: ...

    def compute(self, batch: Batch) -> None: ...

    def pick(self, batch: Batch) -> list[int]: ...

    def interrupt(self) -> None: ...


class EngineLoop:
    """Knows everybody; decides nothing."""

    def __init__(
        self,
        channel: Channel,
        *,
        scheduler: Scheduler,
        runner: Runner | None,
        encoder: PromptEncoder,
        vocabulary: Pieces,
        sequence_limit: int,
        patience_s: float = 0.0,
        embeddings: Embeddings | None = None,
        on_crowd: Callable[[bool], None] = lambda is_crowded: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `runner` it generates nothing, without `embeddings` it embeds nothing.
        `patience_s`: see Outbox. `on_crowd` is told whether others compute beside it."""
        self._scheduler = scheduler
        self._runner = runner
        self._encoder = encoder
        self._vocabulary = vocabulary
        self._limit = sequence_limit
        self._embeddings = embeddings
        self._on_crowd = on_crowd
        self._clock = clock
        self._ear = Ear(channel, on_cancel=self._interrupt)
        self._outbox = Outbox(channel.send, patience_s=patience_s)
        self._long: frozenset[int] = frozenset()

    def run(self) -> None:
        """Serves until the channel closes, which raises ChannelClosed.

        Where there is work of both kinds, steps of generation and of embedding take turns.
        """
        while True:
            self._hear()
            self._outbox.add(self._scheduler.expire())
            if self._runner is not None and self._scheduler.has_work:
                self._outbox.add(self._step(self._runner))
            if self._embeddings is not None and self._embeddings.has_work:
                self._outbox.add(self._embeddings.step())
            if self._has_work:
                self._outbox.send_urgent()
            else:
                self._outbox.send()

    @property
    def _has_work(self) -> bool:
        embeds = self._embeddings is not None and self._embeddings.has_work
        return embeds or self._scheduler.has_work

    def _hear(self) -> None:
        """Takes in what has arrived. Without work it waits for some, and for what comes with it."""
        if self._has_work:
            self._take_in(self._ear.drain(wait_s=0.0))
            return
        self._take_in(self._listen(wait_s=None))
        began = self._clock()
        while wait_s := lull_s(self._scheduler.first_step_s(), waited_s=self._clock() - began):
            commands = self._listen(wait_s=wait_s)
            if not commands:
                return
            self._take_in(commands)

    def _listen(self, *, wait_s: float | None) -> list[Command]:
        """As Ear.drain, but puts the time to use."""
        while not (commands := self._ear.drain(wait_s=0.0)):
            operations = self._scheduler.spare()
            if self._runner is None or not operations:
                return self._ear.drain(wait_s=wait_s)
            self._runner.carry_out(operations)
            self._scheduler.settle()
        return commands

    def _take_in(self, commands: list[Command]) -> None:
        for command in commands:
            self._outbox.add(self._handle(command))

    def _step(self, runner: Runner) -> list[Output]:
        batch = self._scheduler.schedule()
        self._long = frozenset(
            item.sequence.call for item in batch.items if item.count >= _LONG_TOKENS
        )
        if batch.num_tokens - len(batch.items) >= _LONG_TOKENS:
            # It takes longer than those before, and nobody is to wait for a prompt of others.
            self._outbox.send()
        try:
            runner.compute(batch)
        except Interrupted:
            return []
        except NoCells:
            # The scheduler counts cells: only a cache that spends more than one a token gets here.
            if not self._scheduler.shrink():
                raise
            return []
        finally:
            self._long = frozenset()
        self._outbox.step_computed()
        return self._scheduler.update(batch, runner.pick(batch))

    def _interrupt(self, call: int | None) -> None:
        """Ends the step that runs if it is a long one for `call`, or for nobody any more. If it has
        just ended by itself, the next one is computed twice, which harms nobody."""
        if self._runner is not None and (call is None or call in self._long):
            self._runner.interrupt()

    def _handle(self, command: Command) -> list[Report]:
        match command:
            case Cancel():
                self._scheduler.cancel(command.call)
                if self._embeddings is not None:
                    self._embeddings.cancel(command.call)
                return []
            case Crowded():
                self._on_crowd(command.is_crowded)
                return []
            case Embed():
                return self._embed(command)
            case Submit() | Tokenize() | Detokenize() | CountTokens() | AskLoad():
                try:
                    return [self._answer(command)]
                except CorralError as error:
                    return [Rejected(command.call, Failure.of(error))]
            case Start() | Proceed():
                raise InternalError(f"{type(command).__name__} to an engine that is ready")
            case _:
                assert_never(command)

    def _answer(self, command: Submit | Question) -> Output | Answer:
        match command:
            case Submit():
                return self._submit(command)
            case Tokenize():
                return self._tokenize(command)
            case Detokenize():
                return self._detokenize(command)
            case CountTokens():
                return Counted(command.call, len(self._encoder.encode(command.prompt)))
            case AskLoad():
                return self._scheduler.load(command.call)
            case _:
                assert_never(command)

    def _embed(self, embed: Embed) -> list[Report]:
        try:
            if self._embeddings is None:
                raise CapabilityNotSupported("the model was not loaded with EMBED")
            self._embeddings.submit(embed)
        except CorralError as error:
            return [Rejected(embed.call, Failure.of(error))]
        return []

    def _submit(self, submit: Submit) -> Output:
        if self._runner is None:
            raise CapabilityNotSupported("the model was loaded for EMBED only")
        self._scheduler.check_room()
        request = submit.request
        prompt = self._encoder.encode(request.prompt)
        self._check_length(prompt)
        self._encoder.check(sorted(request.sampling.logit_bias), "sampling.logit_bias")
        self._encoder.check(request.stop.token_ids, "stop.token_ids")
        sequence = Sequence(
            submit.call,
            request,
            prompt,
            limit=self._limit,
            vocabulary=self._vocabulary,
            sampler=self._runner.sampler(request, prompt),
            now=self._clock(),
        )
        position, wait_s = self._scheduler.position(request.priority)
        self._scheduler.add(sequence)
        started = Started(
            prompt_tokens=len(prompt), queue_position=position, estimated_wait_s=wait_s
        )
        return Output(submit.call, started)

    def _check_length(self, prompt: list[int]) -> None:
        if len(prompt) >= self._limit:
            raise ContextLengthExceeded(
                f"the prompt has {len(prompt)} tokens; with room for an answer, "
                f"at most {self._limit - 1} fit",
                prompt_tokens=len(prompt),
                limit=self._limit - 1,
            )

    def _tokenize(self, command: Tokenize) -> Tokenized:
        ids = self._encoder.encode_text(
            command.text, add_special=command.add_special, parse_special=command.parse_special
        )
        pieces = self._vocabulary.full_pieces
        return Tokenized(command.call, tuple(Token(id, pieces[id]) for id in ids))

    def _detokenize(self, command: Detokenize) -> Detokenized:
        self._encoder.check(command.token_ids, "token_ids")
        raw = self._vocabulary.detokenize(
            command.token_ids, unparse_special=command.unparse_special
        )
        if len(raw) > _MAX_DETOKENIZED_BYTES:
            why = f"must join to at most {_MAX_DETOKENIZED_BYTES} bytes, not {len(raw)}"
            raise InvalidFields.of(FieldViolation("token_ids", why))
        return Detokenized(command.call, raw)
