"""Server-sent events over chunked HTTP, however they are cut, and answers that are none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.load.event_stream import HttpError, post
from bench.load.llama import LlamaTarget
from bench.load.target import Ask

pytestmark = pytest.mark.asyncio

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ASK = Ask(prompt=[1, 2], max_tokens=2, sampled=False, keep=True)


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[int]:
    """A server that says `reply` to whatever comes, and closes; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def events(reply: bytes) -> list[bytes]:
    async with answering(reply) as port, post("127.0.0.1", port, "/", b"{}") as response:
        return [event async for event in response.events()]


async def test_events_are_found_however_they_are_cut() -> None:
    reply = CHUNKED + chunks(b"data: a\n", b"\ndata: b\n\nda", b"ta: c\n\n")
    assert await events(reply) == [b"a", b"b", b"c"]


async def test_an_answer_of_known_length_is_read_whole() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    async with answering(reply) as port, post("127.0.0.1", port, "/", b"{}") as response:
        assert await response.read() == b"body"


async def test_a_status_that_is_no_success_is_an_error() -> None:
    with pytest.raises(HttpError, match="503: busy"):
        await events(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 4\r\n\r\nbusy")


async def test_a_connection_that_breaks_is_an_error() -> None:
    with pytest.raises(HttpError, match="broke"):
        await events(CHUNKED + b"20\r\ndata: half")


async def test_llama_server_answers_to_its_end() -> None:
    reply = CHUNKED + chunks(
        b'data: {"stop":false,"tokens":[7],"tokens_predicted":1}\n\n',
        b'data: {"stop":false,"tokens":[8],"tokens_predicted":2}\n\n',
        b'data: {"stop":true,"stop_type":"limit","truncated":false,"tokens":[],'
        b'"tokens_predicted":2,"tokens_evaluated":2,"timings":{"cache_n":1}}\n\n',
    )
    heard: list[int] = []
    async with answering(reply) as port:
        ending = await LlamaTarget(f"127.0.0.1:{port}").answer(ASK, heard.append)
    assert heard == [1, 2]
    assert (ending.tokens, ending.prompt_tokens, ending.cached_tokens) == ([7, 8], 2, 1)
    assert not ending.error


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (b'{"stop":true,"stop_type":"eos","tokens_predicted":1}', "ended with eos"),
        (b'{"error":{"message":"no room"}}', "no room"),
        (b'{"stop":false,"tokens_predicted":1}', "the stream ended early"),
    ],
)
async def test_an_answer_that_llama_server_does_not_finish_is_none(last: bytes, error: str) -> None:
    async with answering(CHUNKED + chunks(b"data: " + last + b"\n\n")) as port:
        ending = await LlamaTarget(f"127.0.0.1:{port}").answer(ASK, lambda tokens: None)
    assert ending.error == error
