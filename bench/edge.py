"""What the server itself costs: processor time of its process for each token it streams.

    python -m bench.edge [STREAMS] [TOKENS]

The server is the real one, in a process of its own, and so is its engine, but that computes
nothing: a step takes as long as it should, and all streams have a token in it. Callers are this
process. The server keeps up, so next to every token travels in a message of its own.
"""

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from bench.process import cpu_s
from bench.result import Result, print_table
from corral.v1 import inference_pb2 as pb
from corral.v1.inference_pb2_grpc import InferenceStub
from corral_server.config import ModelSpec, PathSource, ServerConfig
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import (
    EngineFacts,
    ModelFacts,
    Output,
    Probed,
    Ready,
    Submit,
)
from corral_server.models.engines import Engines
from corral_server.models.registry import ModelRegistry
from corral_server.request import Delta, Event, Finished, FinishReason, Started, Timings
from corral_server.rpc.server import GrpcServer

STREAMS = 32
TOKENS = 500
STEP_S = 0.02
GOAL_US = 60
_FACTS = ModelFacts(
    architecture="none",
    name="Nothing",
    parameter_count=0,
    quantization="F32",
    file_bytes=0,
    vocab_size=1,
    embedding_size=1,
    trained_context=2**20,
    has_chat_template=False,
)


def play_engine(channel: Channel) -> None:
    """An engine that has a token for every stream in every step."""
    channel.drain(block=True)
    channel.send([Probed(_FACTS)])
    channel.drain(block=True)
    facts = EngineFacts(
        context_size=2**20, sequence_limit=2**20, slots=64, memory_bytes=0, growth_bytes=0
    )
    channel.send([Ready(facts)])
    answers: dict[int, Iterator[Event]] = {}
    due = 0.0
    while True:
        for command in channel.drain(block=not answers):
            if isinstance(command, Submit):
                answers[command.call] = _answer(command.request.max_tokens or 1)
        due = max(due + STEP_S, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))
        events = {call: next(answer) for call, answer in answers.items()}
        channel.send([Output(call, event) for call, event in events.items()])
        answers = {c: a for c, a in answers.items() if not isinstance(events[c], Finished)}


def _answer(tokens: int) -> Iterator[Event]:
    yield Started(prompt_tokens=1)
    for count in range(1, tokens + 1):
        yield Delta(text=" word", completion_tokens=count)
    timings = Timings(queue_s=0.0, prefill_s=0.0, decode_s=1.0)
    yield Finished(
        reason=FinishReason.LENGTH, prompt_tokens=1, completion_tokens=tokens, timings=timings
    )


async def play_server() -> None:
    """Serves the model `m`, says its port, and ends with its standard input."""
    logging.basicConfig(level=logging.WARNING)
    registry = ModelRegistry(engines=Engines((sys.executable, "-m", "bench.edge", "engine")))
    server = GrpcServer(registry, ServerConfig(address="127.0.0.1:0"))
    port = await server.start()
    entry = await registry.load(ModelSpec(id="m", source=PathSource("/")), make_default=True)
    async for _ in entry.watch_load():
        pass
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)
    await registry.close()


@contextmanager
def running() -> Iterator[tuple[int, str]]:
    """A server's process and its address."""
    command = [sys.executable, "-m", "bench.edge", "server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.pid, f"127.0.0.1:{int(process.stdout.readline())}"
        # Leaving closes its standard input and waits for its end.


async def read(stub: Any, tokens: int) -> int:
    """Reads one stream to its end; returns how many messages brought its tokens."""
    call = stub.GenerateStream(pb.GenerateStreamRequest(prompt="hi", max_tokens=tokens))
    messages = 0
    async for response in call:
        messages += response.HasField("delta")
    return messages


async def measure(streams: int, tokens: int) -> list[Result]:
    with running() as (pid, address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = InferenceStub(channel)
            await asyncio.gather(*(read(stub, 10) for _ in range(streams)))
            began_s, used_s = time.perf_counter(), cpu_s(pid)
            messages = sum(await asyncio.gather(*(read(stub, tokens) for _ in range(streams))))
            took_s, used_s = time.perf_counter() - began_s, cpu_s(pid) - used_s
    count = streams * tokens
    per_token_us = used_s / count * 1e6
    return [
        Result(
            f"processor time of the server for each of {count} tokens in {streams} streams",
            f"{per_token_us:.1f} us",
            f"<= {GOAL_US} us",
            per_token_us <= GOAL_US,
        ),
        Result("  tokens in a message", f"{count / messages:.2f}"),
        Result("  tokens per second, all streams", f"{count / took_s:.0f}"),
    ]


def main(streams: str = str(STREAMS), tokens: str = str(TOKENS)) -> int:
    return 0 if print_table(asyncio.run(measure(int(streams), int(tokens)))) else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server"]:
            asyncio.run(play_server())
        case ["engine", fd]:
            with suppress(ChannelClosed):
                play_engine(Channel(socket.socket(fileno=int(fd))))
        case arguments:
            sys.exit(main(*arguments))
