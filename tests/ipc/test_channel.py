"""Frames arrive whole and in order, however they are cut; the end of the other side is an end."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import get_args

import pytest
import pytest_asyncio

from corral_server.config import Capability, LoadOptions, Mode, Pooling
from corral_server.errors import FieldViolation, InvalidFields
from corral_server.ipc import frame as frames
from corral_server.ipc.async_channel import AsyncChannel
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import MAX_FRAME_BYTES, ChannelClosed
from corral_server.ipc.messages import (
    AskLoad,
    Cancel,
    Command,
    Counted,
    CountTokens,
    Crowded,
    Detokenize,
    Detokenized,
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
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    Priority,
    SamplingParams,
    Started,
    StopParams,
    TextPrompt,
    Timings,
    Token,
    TokenPrompt,
    Tool,
    ToolCall,
)

FAILURE = Failure.of(
    InvalidFields("x", violations=(FieldViolation("a.b", "no"),), retry_after_s=0.5, limit=7)
)
CONVERSATION = Conversation(
    messages=(
        Message(role="user", content="é\0\n"),
        Message(
            role="assistant",
            content="",
            reasoning="so",
            tool_calls=(ToolCall("1", "f", '{"a": 1}'),),
        ),
        Message(role="tool", content="ok", tool_call_id="1", name="f"),
    ),
    tools=(Tool("f", "does", "{}"),),
    enable_thinking=False,
)
SUBMIT = Submit(
    2**40,
    GenerationRequest(
        prompt=CONVERSATION,
        sampling=SamplingParams(temperature=0.0, seed=2**32 - 1, logit_bias={1: -100.0, 2: 0.5}),
        stop=StopParams(strings=("a", "é"), token_ids=(1, 2), include_stop=True, ignore_eos=True),
        max_tokens=7,
        wants_tokens=True,
        cache_scope="é",
        priority=Priority.HIGH,
        time_left_s=1.5,
    ),
)
COMMANDS: list[Command] = [
    Start("/models/é.gguf", LoadOptions(context_size=512, threads=3)),
    Start("m", LoadOptions(), frozenset({Capability.CHAT, Capability.EMBED}), Mode.DIRECT),
    Proceed(),
    SUBMIT,
    Submit(1, GenerationRequest(prompt=TextPrompt(text="a", add_special=False))),
    Submit(1, GenerationRequest(prompt=TokenPrompt((1, 2, 3)))),
    Embed(
        call=2,
        inputs=(TextPrompt(text="é"), TokenPrompt((1, 2))),
        pooling=Pooling.LAST,
        normalize=False,
    ),
    Cancel(3),
    Crowded(True),
    Tokenize(4, "text", add_special=True, parse_special=False),
    Detokenize(5, (1, 2), unparse_special=True),
    CountTokens(6, CONVERSATION),
    AskLoad(7),
]
REPORTS: list[Report] = [
    Probed(
        ModelFacts(
            architecture="llama",
            name="tiny",
            parameter_count=2**40,
            quantization="Q8_0",
            file_bytes=2**50,
            vocab_size=291,
            embedding_size=32,
            trained_context=256,
            has_chat_template=True,
        ),
        (DeviceFootprint(device="RAM", weights_bytes=2**40, cache_bytes=2, compute_bytes=3),),
    ),
    *(Loading(stage, 0.25) for stage in LoadStage),
    Ready(EngineFacts(context_size=512, sequence_limit=256, slots=8, memory_bytes=2**40)),
    LoadFailed(FAILURE),
    Rejected(1, FAILURE),
    Output(1, Started(prompt_tokens=3)),
    Output(1, Started(prompt_tokens=3, queue_position=2, estimated_wait_s=0.5)),
    Output(1, Delta(text="é", completion_tokens=2, tokens=(Token(5, b"\xc3"), Token(6, b"\xa9")))),
    *(
        Output(
            2,
            Finished(
                reason=reason,
                prompt_tokens=1,
                completion_tokens=2,
                timings=Timings(queue_s=0.5, prefill_s=1.5, decode_s=2.5),
                cached_tokens=3,
                stop_string="x",
                stop_token=4,
            ),
        )
        for reason in FinishReason
    ),
    Embedded(call=2, size=1, vectors=b"\0\0\0\xff", token_counts=(3,), is_last=True),
    Tokenized(3, (Token(1, b"\xff"),)),
    Detokenized(4, b"\xff\0"),
    Counted(5, 6),
    EngineLoad(
        call=7,
        slots=8,
        running=3,
        waiting=2,
        max_waiting=256,
        cells=8192,
        cells_used=1000,
        cells_cached=500,
        completion_tokens_per_s=99.5,
        prompt_tokens_per_s=1000.0,
        prompt_cached_ratio=0.5,
        estimated_wait_s=None,
    ),
]


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def engine(sockets: tuple[socket.socket, socket.socket]) -> Channel:
    return Channel(sockets[1])


@pytest_asyncio.fixture
async def server(sockets: tuple[socket.socket, socket.socket]) -> AsyncIterator[AsyncChannel]:
    channel = await AsyncChannel.open(sockets[0])
    yield channel
    channel.close()


def sent_by(channel: Channel, theirs: socket.socket, reports: list[Report]) -> bytes:
    """The bytes of one frame."""
    channel.send(reports)
    return theirs.recv(1 << 16)


# Both ends


@pytest.mark.asyncio
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
async def test_a_command_arrives_as_it_was(
    server: AsyncChannel, engine: Channel, command: Command
) -> None:
    server.send(command)
    assert engine.drain(block=True) == [command]


@pytest.mark.asyncio
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
async def test_a_report_arrives_as_it_was(
    server: AsyncChannel, engine: Channel, report: Report
) -> None:
    engine.send([report])
    assert await server.receive() == [report]


def test_every_message_is_tried_here() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(Command))
    assert {type(report) for report in REPORTS} == set(get_args(Report))


@pytest.mark.asyncio
async def test_reports_of_one_frame_arrive_together_and_in_order(
    server: AsyncChannel, engine: Channel
) -> None:
    engine.send(REPORTS)
    engine.send([Counted(1, 1)])
    assert await server.receive() == REPORTS
    assert await server.receive() == [Counted(1, 1)]


# The engine's end


@pytest.mark.asyncio
async def test_all_commands_that_have_arrived_are_drained_in_order(
    server: AsyncChannel, engine: Channel
) -> None:
    server.send(Cancel(1), Cancel(2))
    server.send(Cancel(3))
    assert engine.drain(block=True) == [Cancel(1), Cancel(2), Cancel(3)]


def test_draining_without_commands_does_not_wait(engine: Channel) -> None:
    assert engine.drain(block=False) == []


@pytest.mark.asyncio
async def test_a_command_cut_into_bytes_arrives_whole(
    sockets: tuple[socket.socket, socket.socket], engine: Channel
) -> None:
    body = frames.frame([SUBMIT])
    drip = threading.Thread(target=lambda: [sockets[0].send(bytes([byte])) for byte in body])
    drip.start()
    assert engine.drain(block=True) == [SUBMIT]
    drip.join()


def test_the_end_of_the_server_is_an_end(
    sockets: tuple[socket.socket, socket.socket], engine: Channel
) -> None:
    sockets[0].close()
    with pytest.raises(ChannelClosed):
        engine.drain(block=True)


def test_the_end_of_the_server_within_a_frame_is_an_end(
    sockets: tuple[socket.socket, socket.socket], engine: Channel
) -> None:
    sockets[0].send(frames.frame([SUBMIT])[:-1])
    sockets[0].close()
    with pytest.raises(ChannelClosed):
        engine.drain(block=True)


def test_nothing_can_be_told_to_a_server_that_is_gone(
    sockets: tuple[socket.socket, socket.socket], engine: Channel
) -> None:
    sockets[0].close()
    with pytest.raises(ChannelClosed):
        engine.send([Counted(1, 1)])


# The server's end


@pytest.mark.asyncio
@pytest.mark.parametrize("kept", [0, 1, 4, -1])
async def test_the_end_of_the_engine_anywhere_is_an_end(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel, kept: int
) -> None:
    sockets[1].send(frames.frame(REPORTS)[:kept])
    sockets[1].close()
    with pytest.raises(ChannelClosed):
        await server.receive()


@pytest.mark.asyncio
async def test_what_an_engine_said_before_its_end_is_heard(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel, engine: Channel
) -> None:
    engine.send([Counted(1, 1)])
    sockets[1].close()
    assert await server.receive() == [Counted(1, 1)]
    with pytest.raises(ChannelClosed):
        await server.receive()


@pytest.mark.asyncio
async def test_a_report_cut_into_bytes_arrives_whole(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel
) -> None:
    received = asyncio.create_task(server.receive())
    for byte in frames.frame(REPORTS[:2]):
        sockets[1].send(bytes([byte]))
        await asyncio.sleep(0)
    assert await received == REPORTS[:2]


@pytest.mark.asyncio
async def test_a_report_of_megabytes_arrives_whole(server: AsyncChannel, engine: Channel) -> None:
    report = Detokenized(1, bytes(range(256)) * 32 * 1024)
    sending = asyncio.create_task(asyncio.to_thread(engine.send, [report, Counted(2, 2)]))
    assert await server.receive() == [report, Counted(2, 2)]
    await sending


@pytest.mark.asyncio
async def test_an_engine_waits_while_nobody_reads_what_it_sends(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel
) -> None:
    reports = [[Detokenized(call, bytes(50_000))] for call in range(100)]
    stream = b"".join(frames.frame(each) for each in reports)
    sockets[1].setblocking(False)
    sent = 0

    async def send_on() -> None:
        nonlocal sent
        for _ in range(100):
            with suppress(BlockingIOError):
                sent += sockets[1].send(stream[sent:])
            await asyncio.sleep(0)

    await send_on()
    assert sent < len(stream) / 4
    received: list[list[Report]] = []
    while len(received) < len(reports):
        await send_on()
        received.append(await server.receive())
    assert received == reports


@pytest.mark.asyncio
async def test_telling_an_engine_that_is_gone_is_harmless(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel
) -> None:
    sockets[1].close()
    with pytest.raises(ChannelClosed):
        await server.receive()
    server.send(Cancel(1))
    server.close()
    server.send(Cancel(2))


# Limits


@pytest.mark.asyncio
async def test_a_frame_that_says_it_is_over_the_limit_is_not_read(
    sockets: tuple[socket.socket, socket.socket], server: AsyncChannel
) -> None:
    sockets[1].send(struct.pack("<I", MAX_FRAME_BYTES + 1))
    with pytest.raises(ChannelClosed, match="over the limit"):
        await server.receive()


@pytest.mark.asyncio
async def test_a_command_over_the_limit_is_refused_before_it_is_sent(
    server: AsyncChannel, engine: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    with pytest.raises(ValueError, match="over the limit of 100"):
        server.send(Tokenize(1, "x" * 100, add_special=True, parse_special=True))
    assert engine.drain(block=False) == []


@pytest.mark.asyncio
async def test_reports_too_many_for_one_frame_are_sent_in_several(
    server: AsyncChannel, engine: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    reports: list[Report] = [Detokenized(call, bytes(40)) for call in range(5)]
    engine.send(reports)
    received: list[Report] = []
    while len(received) < len(reports):
        received += await server.receive()
    assert received == reports


def test_a_report_over_the_limit_is_refused_before_it_is_sent(
    engine: Channel, sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    with pytest.raises(ValueError, match="over the limit of 100"):
        engine.send([Counted(1, 1), Detokenized(2, bytes(200))])
