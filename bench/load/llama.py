"""llama-server under load, through its own HTTP interface."""

import asyncio

import msgspec

from bench.load.event_stream import HttpError, post
from bench.load.target import DEADLINE_S, Ask, Ending, Hear, Vectors


class _Timings(msgspec.Struct, frozen=True):
    cache_n: int = 0


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _Event(msgspec.Struct, frozen=True):
    """What one event of /completion says, as far as it counts here."""

    stop: bool = False
    tokens: list[int] = []
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    stop_type: str = ""
    truncated: bool = False
    timings: _Timings = _Timings()
    error: _Error | None = None


class _Vector(msgspec.Struct, frozen=True):
    embedding: str


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int


class _Vectors(msgspec.Struct, frozen=True):
    data: list[_Vector]
    usage: _Usage


_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_vectors = msgspec.json.Decoder(_Vectors).decode


class LlamaTarget:
    """One connection for each call: a stream occupies it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)

    async def answer(self, ask: Ask, hear: Hear) -> Ending:
        request: dict[str, object] = {
            "prompt": ask.prompt,
            "n_predict": ask.max_tokens,
            "ignore_eos": True,
            "stream": True,
            "return_tokens": ask.keep,
        }
        if not ask.sampled:
            request["temperature"] = 0
        ending = Ending(error="the stream ended early")
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._stream(_encode(request), ending, hear)
        except (HttpError, OSError, msgspec.MsgspecError) as error:
            ending.error = f"{type(error).__name__}: {error}"
        return ending

    async def _stream(self, body: bytes, ending: Ending, hear: Hear) -> None:
        async with post(self._host, self._port, "/completion", body) as response:
            heard = 0
            async for data in response.events():
                event = _decode_event(data)
                if event.tokens_predicted > heard:
                    heard = event.tokens_predicted
                    hear(heard)
                ending.tokens.extend(event.tokens)
                if event.error is not None:
                    ending.error = event.error.message
                elif event.stop:
                    ending.prompt_tokens = event.tokens_evaluated
                    ending.cached_tokens = event.timings.cache_n
                    ending.error = _fault(event)

    async def embed(self, texts: list[str]) -> Vectors:
        body = _encode({"input": texts, "encoding_format": "base64"})
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                post(self._host, self._port, "/v1/embeddings", body) as response,
            ):
                vectors = _decode_vectors(await response.read())
        except (HttpError, OSError, msgspec.MsgspecError) as error:
            return Vectors(0, 0, f"{type(error).__name__}: {error}")
        return Vectors(len(vectors.data), vectors.usage.prompt_tokens)

    async def close(self) -> None:
        """Nothing is left open."""


def _fault(event: _Event) -> str:
    if event.stop_type == "limit" and not event.truncated:
        return ""
    return f"ended with {event.stop_type}{', truncated' if event.truncated else ''}"
