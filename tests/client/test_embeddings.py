"""Asking for vectors, through both clients."""

import asyncio
import struct
import sys

import pytest
from grpc import StatusCode

from corral import Embedding, EngineRestarting, Pooling
from corral.aio import Client
from corral.v1.embedding_pb2 import Embedding as EmbeddingMessage
from corral.v1.embedding_pb2 import EmbeddingEncoding
from corral.v1.inference_pb2 import EmbedStreamRequest, EmbedStreamResponse

from .scripted_server import VECTORS, ScriptedServer, embeddings, reason, refusal

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_embeddings_are_in_the_order_of_the_inputs(client: Client) -> None:
    found = await client.inference.embed(["one", "two", "three"])
    assert [list(vector) for vector in found.vectors] == VECTORS
    assert [(each.index, each.tokens) for each in found] == [(0, 2), (1, 2), (2, 2)]
    assert found[-1].values == VECTORS[2]
    assert (len(found), found.model, found.request_id) == (3, "demo", "r1")
    assert found.usage.prompt_tokens == 6


async def test_vectors_are_32_bit_numbers_in_one_piece(client: Client) -> None:
    (vector,) = (await client.inference.embed("one")).vectors
    assert (vector.typecode, memoryview(vector).nbytes) == ("f", 12)


async def test_vectors_can_travel_as_numbers(client: Client, server: ScriptedServer) -> None:
    (found,) = await client.inference.embed("one", packed=False)
    assert (list(found.vector), list(found.proto.values)) == (VECTORS[0], VECTORS[0])
    await client.inference.embed("one")
    numbers, packed = server.requests
    assert numbers.encoding == EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT
    assert packed.encoding == EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE


async def test_vectors_are_swapped_on_a_big_endian_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = ">" if sys.byteorder == "little" else "<"  # what bytes look like after a swap
    monkeypatch.setattr(sys, "byteorder", "big")
    packed = struct.pack(f"{other}3f", *VECTORS[0])
    assert list(Embedding(EmbeddingMessage(packed=packed)).vector) == VECTORS[0]


async def test_all_options_reach_both_embed_requests(
    client: Client, server: ScriptedServer
) -> None:
    await client.inference.embed(
        ["one", [1, 2]], model="m", request_id="mine", pooling="cls", normalize=False
    )
    stream = client.inference.embed_stream(
        ["one", [1, 2]], model="m", request_id="mine", pooling="cls", normalize=False
    )
    async for _ in stream:
        pass
    whole, streamed = server.requests
    assert whole.SerializeToString() == EmbedStreamRequest.SerializeToString(streamed)
    text, tokens = whole.inputs
    assert (text.text, list(tokens.tokens.ids)) == ("one", [1, 2])
    assert whole.pooling == Pooling.POOLING_CLS
    assert whole.HasField("normalize") and not whole.normalize


async def test_what_was_left_out_is_not_sent(client: Client, server: ScriptedServer) -> None:
    await client.inference.embed("one")
    (request,) = server.requests
    assert [each.text for each in request.inputs] == ["one"]
    assert request.pooling == Pooling.POOLING_UNSPECIFIED and not request.HasField("normalize")


async def test_a_stream_yields_the_embeddings_in_order(client: Client) -> None:
    async with client.inference.embed_stream(["one", "two", "three"]) as stream:
        assert (stream.model, stream.request_id, stream.usage) == ("", "", None)
        seen = [embedding async for embedding in stream]
    assert [each.values for each in seen] == VECTORS
    assert (stream.model, stream.request_id) == ("demo", "r1")
    assert stream.usage is not None and stream.usage.prompt_tokens == 6


async def test_events_are_the_contracts_messages(client: Client) -> None:
    stream = client.inference.embed_stream(["one", "two", "three"])
    assert [len(event.embeddings) async for event in stream.events()] == [1, 2]


async def test_leaving_the_block_early_cancels(client: Client, server: ScriptedServer) -> None:
    first = EmbedStreamResponse(embeddings=embeddings(EmbedStreamRequest(inputs=[{}])))
    server.answers["EmbedStream"] = server.send_and_stall([first])
    async with client.inference.embed_stream(["one", "two"]) as stream:
        async for embedding in stream:
            assert embedding.index == 0
            break
    assert await asyncio.to_thread(server.cancelled.wait, 5)


async def test_failing_half_way_raises_from_the_loop(
    client: Client, server: ScriptedServer
) -> None:
    fail = refusal(StatusCode.UNAVAILABLE, "engine died", reason("ENGINE_RESTARTING"))

    def answer(request: object, context: object) -> object:
        yield EmbedStreamResponse(embeddings=embeddings(EmbedStreamRequest(inputs=[{}])))
        fail(request, context)  # type: ignore[arg-type]

    server.answers["EmbedStream"] = answer
    stream = client.inference.embed_stream(["one", "two"])
    seen = []
    with pytest.raises(EngineRestarting):
        async for embedding in stream:
            seen.append(embedding.index)
    assert (seen, stream.usage) == ([0], None)
