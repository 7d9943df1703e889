"""Answers while they are written, through both clients."""

import asyncio
import threading

import pytest
from grpc import StatusCode

from corral import CorralError, DeadlineExceeded, EngineRestarting, aio, user
from corral.aio import Client
from corral.v1.inference_pb2 import Delta, GenerateStreamResponse

from .scripted_server import FINISHED, STARTED, ScriptedServer, reason, refusal

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def happens(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 5)


async def test_deltas_join_to_the_text(client: Client) -> None:
    stream = client.inference.generate_stream("Once")
    assert (stream.started, stream.finished, stream.text) == (None, None, "")
    seen = []
    async for delta in stream:
        seen.append(delta.text)
        assert stream.started == STARTED
        assert stream.text == "".join(seen)
    assert seen == ["Hello", " world"]
    assert stream.finished == FINISHED


async def test_events_are_the_contracts_messages(client: Client) -> None:
    stream = client.inference.chat_stream([user("Hi")])
    kinds = [event.WhichOneof("event") async for event in stream.events()]
    assert kinds == ["started", "delta", "delta", "finished"]
    assert stream.text == "Hello you"


async def test_events_of_a_newer_server_are_ignored(client: Client, server: ScriptedServer) -> None:
    unknown = GenerateStreamResponse.FromString(b"\x7a\x00")  # field 15, empty
    known = GenerateStreamResponse(delta=Delta(text="Hi"))
    server.answers["GenerateStream"] = lambda *_: iter([unknown, known])
    stream = client.inference.generate_stream("Once")
    assert [delta.text async for delta in stream] == ["Hi"]


async def test_leaving_the_block_early_cancels(client: Client, server: ScriptedServer) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    async with client.inference.generate_stream("Once") as stream:
        async for _ in stream:
            break
    assert await happens(server.cancelled)
    assert (stream.text, stream.finished) == ("Hello", None)


async def test_dropping_the_stream_cancels(client: Client, server: ScriptedServer) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    async for _ in client.inference.generate_stream("Once"):
        break
    assert await happens(server.cancelled)


async def test_a_loop_that_was_left_can_be_taken_up_again(client: Client) -> None:
    stream = client.inference.generate_stream("Once")
    assert (await anext(stream)).text == "Hello"
    assert [delta.text async for delta in stream] == [" world"]
    assert [delta async for delta in stream] == []
    assert stream.finished == FINISHED


async def test_an_error_in_the_loop_cancels(client: Client, server: ScriptedServer) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    with pytest.raises(ZeroDivisionError):
        async with client.inference.generate_stream("Once") as stream:
            async for _ in stream:
                raise ZeroDivisionError
    assert await happens(server.cancelled)


async def test_cancel_ends_the_loop_without_an_error(
    client: Client, server: ScriptedServer
) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    stream = client.inference.generate_stream("Once")
    async for _ in stream:
        stream.cancel()
    assert stream.text == "Hello"
    assert await happens(server.cancelled)


async def test_failing_half_way_keeps_the_text(client: Client, server: ScriptedServer) -> None:
    fail = refusal(StatusCode.UNAVAILABLE, "engine died", reason("ENGINE_RESTARTING"))

    def answer(request: object, context: object) -> object:
        yield GenerateStreamResponse(delta=Delta(text="Hel"))
        fail(request, context)  # type: ignore[arg-type]

    server.answers["GenerateStream"] = answer
    stream = client.inference.generate_stream("Once")
    with pytest.raises(EngineRestarting):
        async for _ in stream:
            pass
    assert (stream.text, stream.finished) == ("Hel", None)
    assert len(server.requests) == 1, "a stream that has begun is not tried again"


async def test_timeout_is_the_calls_deadline(client: Client, server: ScriptedServer) -> None:
    server.answers["GenerateStream"] = server.stall()
    with pytest.raises(DeadlineExceeded):
        async for _ in client.inference.generate_stream("Once", timeout=0.05):
            pass
    assert await happens(server.cancelled)


async def test_cancelling_the_task_cancels_the_call(server: ScriptedServer) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    begun = asyncio.Event()

    async def read(client: aio.Client) -> None:
        async for _ in client.inference.generate_stream("Once"):
            begun.set()

    async with aio.Client(server.address) as client:
        task = asyncio.create_task(read(client))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await happens(server.cancelled)


async def test_stream_refused_raises_from_the_loop(client: Client, server: ScriptedServer) -> None:
    server.answers["ChatStream"] = refusal(StatusCode.NOT_FOUND, "none", reason("NEWER"))
    with pytest.raises(CorralError, match="none"):
        async for _ in client.inference.chat_stream([user("Hi")]):
            pass
