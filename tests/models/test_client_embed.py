"""Vectors through EngineClient, from a real engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from struct import unpack

import pytest
import pytest_asyncio

from corral_server.config import Capability, LoadOptions, ModelSpec, PathSource, Pooling
from corral_server.errors import ContextLengthExceeded, EngineRestarting
from corral_server.ipc.messages import Embedded
from corral_server.models.engine_client import EngineClient
from corral_server.models.engine_process import EngineProcess
from corral_server.request import TextPrompt, TokenPrompt
from tiny_gguf import write_llama

OPTIONS = LoadOptions(context_size=512, batch_size=32, threads=1)
STALL_S = 30.0


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[EngineClient]:
    path = write_llama(tmp_path / "tiny.gguf")
    spec = ModelSpec(
        id="m",
        source=PathSource(str(path)),
        options=OPTIONS,
        capabilities=frozenset({Capability.EMBED}),
    )
    async with EngineClient.launch(EngineProcess.start()) as client:
        await client.probe(path, spec, stall_s=STALL_S)
        await client.load(lambda _: None, stall_s=STALL_S)
        serving = asyncio.create_task(client.serve())
        yield client
    serving.cancel()
    await asyncio.wait([serving])


async def parts(
    client: EngineClient,
    *inputs: TextPrompt | TokenPrompt,
    pooling: Pooling | None = None,
    normalize: bool = True,
) -> list[Embedded]:
    async with aclosing(client.embed(inputs, pooling=pooling, normalize=normalize)) as stream:
        return [part async for part in stream]


@pytest.mark.asyncio
async def test_vectors_come_in_the_order_of_their_inputs(client: EngineClient) -> None:
    inputs = [TokenPrompt((number,) * (1 + number % 20)) for number in range(60)]
    told = await parts(client, *inputs)
    counts = [count for part in told for count in part.token_counts]
    assert counts == [len(input.token_ids) for input in inputs]
    assert [part.is_last for part in told] == [False] * (len(told) - 1) + [True]
    assert all(len(part.vectors) == 4 * part.size * len(part.token_counts) for part in told)


@pytest.mark.asyncio
async def test_a_vector_has_length_1_unless_asked_otherwise(client: EngineClient) -> None:
    (unit,) = await parts(client, TextPrompt(text="Hello"))
    (raw,) = await parts(client, TextPrompt(text="Hello"), normalize=False)
    values = unpack(f"<{unit.size}f", unit.vectors)
    assert sum(value * value for value in values) == pytest.approx(1.0, abs=1e-4)
    assert raw.vectors != unit.vectors


@pytest.mark.asyncio
async def test_what_is_wrong_is_raised(client: EngineClient) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"inputs\[0\]"):
        await parts(client, TokenPrompt((1,) * 300))


@pytest.mark.asyncio
async def test_leaving_early_cancels(client: EngineClient) -> None:
    inputs = (TokenPrompt(tuple(range(30))),) * 2000
    async with aclosing(client.embed(inputs)) as stream:
        first = await anext(stream)
    assert not first.is_last
    (alone,) = await parts(client, TokenPrompt((1,)))
    assert alone.is_last


@pytest.mark.asyncio
async def test_calls_end_with_the_engine(client: EngineClient) -> None:
    inputs = (TokenPrompt(tuple(range(30))),) * 4000
    async with aclosing(client.embed(inputs)) as stream:
        await anext(stream)
        client.end(EngineRestarting("it died"))
        with pytest.raises(EngineRestarting):
            async for _ in stream:
                pass
