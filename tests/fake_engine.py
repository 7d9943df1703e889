"""An engine without llama.cpp: it speaks the real channel and does what a script says.

    python tests/fake_engine.py FD

The model file it is asked to load is its `Script`, in JSON, so one command serves many models and a
test may change a script between two lives of an engine. What becomes of a request stands in its
prompt: see `Prompts`. Nothing here sleeps: it holds until it is told to go on.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from corral_server.config import EngineTimeouts, ModelSpec, Pooling
from corral_server.errors import (
    ContextLengthExceeded,
    CorralError,
    ModelFileInvalid,
    ModelFileNotFound,
    QueueFull,
)
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import (
    AskLoad,
    Cancel,
    Command,
    Counted,
    CountTokens,
    Crowded,
    Detokenize,
    Detokenized,
    Device,
    DeviceFootprint,
    Embed,
    Embedded,
    EngineFacts,
    EngineLoad,
    Failure,
    LoadFailed,
    Loading,
    LoadStage,
    ModelFacts,
    Output,
    Probed,
    Proceed,
    Ready,
    Rejected,
    Report,
    Start,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.request import (
    Conversation,
    Delta,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Priority,
    Prompt,
    Started,
    TextPrompt,
    Timings,
    Token,
    TokenPrompt,
)

COMMAND = (sys.executable, __file__)
# Deaths follow each other at once; loads that stall on purpose are ended by the tests.
QUICK = EngineTimeouts(stall_s=30.0, backoff_s=0.001, backoff_max_s=0.004)
PROMPT_TOKENS = 3
SEQUENCE_LIMIT = 100

# What becomes of an engine at one point of its load. "close" ends the channel but not the process;
# "babble" sends two reports at once, "garble" bytes that are none.
Fate = Literal[
    "go on", "stall", "wait", "open", "fail", "kill", "abort", "exit", "close", "babble", "garble"
]


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine does with its model. `wait` is for a byte in the FIFO `gate`, which
    `open` writes; `fail` tells `failure`. The fate at load comes after the `progress`."""

    at_probe: Fate = "go on"
    at_load: Fate = "go on"
    at_ready: Fate = "go on"
    when_asked: Fate = "go on"  # how busy it is
    failure: Failure = Failure.of(ModelFileInvalid("it is no GGUF file"))
    gate: str = ""
    progress: tuple[float, ...] = (0.5, 1.0)
    noise: bool = False
    last_words: str = ""
    leaves_helper: bool = False
    ignores_cancel: bool = False
    ram_bytes: int = 0
    growth_bytes: int = 0
    devices: tuple[Device, ...] = ()
    gpu_bytes: int = 0  # of the first of `devices`
    vector_size: int = 4
    inputs_per_part: int = 2
    estimated_wait_s: float | None = None


class Prompts:
    """What becomes of a request. Each answer has `max_tokens` deltas before its end.

    Any other prompt is answered and finished.
    """

    HOLD = "hold"  # goes on until cancelled, or until FINISH is tokenized; Embed: after one part
    DIE = "die"  # the engine is killed after the deltas, or in the place of a vector
    FULL = "full"  # rejected: the queue is full
    LONG = "long"  # rejected: too long
    SEVER = "sever"  # one delta, then nonsense on the channel
    QUEUED = "queued"  # two wait before it, for 1.5 s
    ECHO = "echo"  # its first delta tells what was asked: see `Echo`

    FINISH = "finish"  # to Tokenize: ends all answers on hold
    LIVE = "live"  # to CountTokens: the number of answers on hold
    CANCELS = "cancels"  # to CountTokens: the number of Cancels heard
    CROWDS = "crowds"  # to CountTokens: how often it has heard whether it is alone
    MUTE = "mute"  # to CountTokens: never answered


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What a request said that does not show in its answer; a text in JSON."""

    cache_scope: str
    priority: Priority
    time_left_s: float | None


MakeSpec = Callable[..., ModelSpec]


def write_model(path: Path, script: Script | None = None) -> Path:
    """The model file of `script`; the default one loads and answers."""
    path.write_bytes(msgspec.json.encode(script or Script()))
    return path


def text_of(count: int) -> str:
    """The answer of `count` tokens."""
    return "".join(f"{number} " for number in range(1, count + 1))


def vector_of(
    text: str, size: int, pooling: Pooling | None = None, normalize: bool = True
) -> list[float]:
    """The vector of `text`, whose tokens are its characters; it tells what was asked for."""
    kind = 0 if pooling is None else 1 + list(Pooling).index(pooling)
    head = [float(zlib.crc32(text.encode()) % 4096), float(kind), float(normalize)]
    return (head + [0.5] * size)[:size]


class FakeEngine:
    """One engine, from Start to the end of its channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._script = Script()
        self._slots = 0
        self._held: dict[int, int] = {}  # call to its tokens so far
        self._cancels = 0
        self._crowds = 0

    def run(self) -> None:
        (start,) = self._channel.drain(block=True)
        assert isinstance(start, Start)
        self._script = self._read(Path(start.path))
        self._slots = start.options.slots
        self._make_noise()
        self._meet(self._script.at_probe)
        self._channel.send([Probed(_MODEL_FACTS, self._footprint(), self._script.devices)])
        (proceed,) = self._channel.drain(block=True)
        assert isinstance(proceed, Proceed)
        for fraction in self._script.progress:
            self._channel.send([Loading(LoadStage.LOADING, fraction)])
        self._meet(self._script.at_load)
        self._channel.send([Loading(LoadStage.WARMING, 0.0)])
        self._channel.send([Ready(_engine_facts(start, self._script.growth_bytes))])
        self._meet(self._script.at_ready)
        while True:
            for command in self._channel.drain(block=True):
                self._handle(command)

    def _footprint(self) -> tuple[DeviceFootprint, ...]:
        gpus = [(device.name, self._script.gpu_bytes) for device in self._script.devices[:1]]
        return tuple(
            DeviceFootprint(device=device, weights_bytes=size, cache_bytes=0, compute_bytes=0)
            for device, size in [("RAM", self._script.ram_bytes), *gpus]
            if size
        )

    def _read(self, path: Path) -> Script:
        if not path.exists():
            self._fail(ModelFileNotFound(f"there is no file {path}", path=str(path)))
        return msgspec.json.decode(path.read_bytes(), type=Script)

    def _make_noise(self) -> None:
        if self._script.noise:
            sys.stdout.write("out" * 100_000 + "\n")
            sys.stderr.write("err" * 100_000 + "\n")
            sys.stderr.buffer.write(b"\xff\x00\r\n\n")
        sys.stderr.write(self._script.last_words)
        if self._script.leaves_helper:
            # It holds our stderr open, as a debugger on our stack would.
            subprocess.Popen(["sleep", "1000"])
        sys.stdout.flush()
        sys.stderr.flush()

    def _meet(self, fate: Fate) -> None:
        match fate:
            case "stall":
                while True:
                    signal.pause()
            case "wait":
                Path(self._script.gate).read_bytes()
            case "open":
                Path(self._script.gate).write_bytes(b"go")
            case "fail":
                self._fail(self._script.failure.error())
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "abort":
                os.abort()
            case "exit":
                sys.exit(3)
            case "close":
                self._channel.close()
                self._meet("stall")
            case "babble":
                self._channel.send([Probed(_MODEL_FACTS), Probed(_MODEL_FACTS)])
            case "garble":
                _garble()

    def _fail(self, error: CorralError) -> NoReturn:
        self._channel.send([LoadFailed(Failure.of(error))])
        sys.exit(1)

    def _handle(self, command: Command) -> None:
        match command:
            case Submit():
                self._generate(command.call, command.request)
            case Embed():
                self._embed(command)
            case Cancel():
                self._cancels += 1
                if not self._script.ignores_cancel:
                    self._held.pop(command.call, None)
            case Crowded():
                self._crowds += 1
            case Tokenize():
                tokens = tuple(Token(byte, bytes([byte])) for byte in command.text.encode())
                ends = self._finish_held() if command.text == Prompts.FINISH else []
                self._channel.send([Tokenized(command.call, tokens), *ends])
            case Detokenize():
                self._channel.send([Detokenized(command.call, bytes(command.token_ids))])
            case CountTokens():
                self._count(command.call, command.prompt)
            case AskLoad():
                self._tell_load(command.call)
            case _:
                raise AssertionError(f"{command} to an engine that is ready")

    def _generate(self, call: int, request: GenerationRequest) -> None:
        text = _text(request.prompt)
        if text == Prompts.FULL:
            return self._reject(call, QueueFull("256 wait", retry_after_s=1.5, limit=256))
        if text == Prompts.LONG:
            return self._reject(call, ContextLengthExceeded("long", prompt_tokens=9, limit=8))
        count = request.max_tokens or 3
        self._channel.send([Output(call, _started(text))])
        if text == Prompts.ECHO:
            self._channel.send([Output(call, Delta(text=_echo(request), completion_tokens=0))])
        for number in range(1, count + 1):
            tokens = (Token(number, b"%d " % number),) if request.wants_tokens else ()
            delta = Delta(text=f"{number} ", completion_tokens=number, tokens=tokens)
            self._channel.send([Output(call, delta)])
        if text == Prompts.HOLD:
            self._held[call] = count
            return None
        if text == Prompts.DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if text == Prompts.SEVER:
            _garble()
        return self._channel.send([Output(call, _finished(count))])

    def _embed(self, command: Embed) -> None:
        """Vectors that tell which input they are of: see `vector_of`."""
        texts = [_text(prompt) for prompt in command.inputs]
        if Prompts.FULL in texts:
            return self._reject(command.call, QueueFull("256 wait", retry_after_s=1.5, limit=256))
        if Prompts.LONG in texts:
            return self._reject(command.call, ContextLengthExceeded("long", limit=8))
        step = self._script.inputs_per_part
        for start in range(0, len(texts), step):
            part = texts[start : start + step]
            if Prompts.DIE in part:
                os.kill(os.getpid(), signal.SIGKILL)
            self._channel.send([self._embedded(command, part, start + step >= len(texts))])
            if Prompts.HOLD in texts:
                self._held[command.call] = 0
                return None
        return None

    def _embedded(self, command: Embed, texts: list[str], is_last: bool) -> Embedded:
        size = self._script.vector_size
        rows = [vector_of(text, size, command.pooling, command.normalize) for text in texts]
        return Embedded(
            call=command.call,
            size=size,
            vectors=b"".join(struct.pack(f"<{size}f", *row) for row in rows),
            token_counts=tuple(map(len, texts)),
            is_last=is_last,
        )

    def _reject(self, call: int, error: CorralError) -> None:
        self._channel.send([Rejected(call, Failure.of(error))])

    def _finish_held(self) -> list[Report]:
        ends: list[Report] = [Output(call, _finished(count)) for call, count in self._held.items()]
        self._held.clear()
        return ends

    def _count(self, call: int, prompt: Prompt) -> None:
        text = _text(prompt)
        if text == Prompts.MUTE:
            return
        counts = {
            Prompts.LIVE: len(self._held),
            Prompts.CANCELS: self._cancels,
            Prompts.CROWDS: self._crowds,
        }
        self._channel.send([Counted(call, counts.get(text, PROMPT_TOKENS))])

    def _tell_load(self, call: int) -> None:
        self._meet(self._script.when_asked)
        load = EngineLoad(
            call=call,
            slots=self._slots,
            running=len(self._held),
            waiting=1,
            max_waiting=256,
            cells=800,
            cells_used=30,
            cells_cached=70,
            completion_tokens_per_s=12.5,
            prompt_tokens_per_s=400.0,
            prompt_cached_ratio=0.25,
            estimated_wait_s=self._script.estimated_wait_s,
        )
        self._channel.send([load])


_MODEL_FACTS = ModelFacts(
    architecture="fake",
    name="Fake",
    parameter_count=12_000_000_000,
    quantization="F32",
    file_bytes=2**40,
    vocab_size=256,
    embedding_size=32,
    trained_context=SEQUENCE_LIMIT,
    has_chat_template=True,
)


def _engine_facts(start: Start, growth_bytes: int) -> EngineFacts:
    return EngineFacts(
        context_size=start.options.context_size or 800,
        sequence_limit=SEQUENCE_LIMIT,
        slots=start.options.slots,
        memory_bytes=2**33,
        growth_bytes=growth_bytes,
    )


def _started(text: str) -> Started:
    if text == Prompts.QUEUED:
        return Started(prompt_tokens=PROMPT_TOKENS, queue_position=2, estimated_wait_s=1.5)
    return Started(prompt_tokens=PROMPT_TOKENS)


def _echo(request: GenerationRequest) -> str:
    said = Echo(
        cache_scope=request.cache_scope,
        priority=request.priority,
        time_left_s=request.time_left_s,
    )
    return msgspec.json.encode(said).decode()


def _finished(count: int) -> Event:
    return Finished(
        reason=FinishReason.LENGTH,
        prompt_tokens=PROMPT_TOKENS,
        completion_tokens=count,
        timings=Timings(queue_s=0.5, prefill_s=1.0, decode_s=2.0),
        cached_tokens=1,
    )


def _text(prompt: Prompt) -> str:
    match prompt:
        case TextPrompt():
            return prompt.text
        case TokenPrompt():
            return bytes(prompt.token_ids).decode()
        case Conversation():
            return prompt.messages[-1].content


def _garble() -> None:
    """A frame of the right length that is no message."""
    os.write(int(sys.argv[-1]), b"\x03\x00\x00\x00\xc1\xc1\xc1")


if __name__ == "__main__":
    with contextlib.suppress(ChannelClosed):
        FakeEngine(Channel(socket.socket(fileno=int(sys.argv[-1])))).run()
