"""Embed and EmbedStream through gRPC, with a fake engine whose vectors tell what they are of."""

import asyncio
import os
import signal
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from corral.v1 import embedding_pb2, model_pb2
from corral.v1 import inference_pb2 as pb
from corral.v1 import model_manager_pb2 as manager_pb
from corral_server.config import Pooling
from corral_server.models.engine_client import EngineClient
from corral_server.request import TextPrompt
from fake_engine import Prompts, vector_of
from rpc.service import Service, last, refusal
from watch import settled

pytestmark = pytest.mark.asyncio

SIZE = 4
PACKED = embedding_pb2.EMBEDDING_ENCODING_FLOAT32_LE
TEXTS = [f"text {number}" * (number + 1) for number in range(7)]
MIB = 2**20


async def load(service: Service, **script: Any) -> None:
    """Loads a model that embeds, as the default."""
    request = manager_pb.LoadModelRequest(
        id="m",
        source=service.source("m", vector_size=SIZE, **script),
        capabilities=[model_pb2.CAPABILITY_EMBED],
        make_default=True,
    )
    await last(service.models.LoadModel(request))


def inputs(*texts: str) -> list[embedding_pb2.EmbedInput]:
    return [embedding_pb2.EmbedInput(text=text) for text in texts]


def embed(*texts: str, **fields: Any) -> pb.EmbedRequest:
    return pb.EmbedRequest(inputs=inputs(*texts), **fields)


def embed_stream(*texts: str, **fields: Any) -> pb.EmbedStreamRequest:
    return pb.EmbedStreamRequest(inputs=inputs(*texts), **fields)


def engine_of(service: Service) -> EngineClient:
    engine = service.registry.resolve("m").engine
    assert engine is not None
    return engine


async def count(service: Service, what: str) -> int:
    return await engine_of(service).count_tokens(TextPrompt(text=what))


async def both(service: Service, *texts: str, **fields: Any) -> AsyncIterator[Any]:
    """The failing call, without a stream and with one."""
    yield service.inference.Embed(embed(*texts, **fields))
    yield last(service.inference.EmbedStream(embed_stream(*texts, **fields)))


# Answers.


async def test_vectors_are_in_order_over_all_parts(service: Service) -> None:
    await load(service, inputs_per_part=3)
    answer = await service.inference.Embed(embed(*TEXTS, request_id="mine"))
    assert (answer.request_id, answer.model) == ("mine", "m")
    assert [one.index for one in answer.embeddings] == list(range(7))
    assert [list(one.values) for one in answer.embeddings] == [vector_of(t, SIZE) for t in TEXTS]
    assert [one.tokens for one in answer.embeddings] == [len(text) for text in TEXTS]


async def test_a_stream_holds_what_the_answer_holds(service: Service) -> None:
    await load(service, inputs_per_part=3)
    whole = await service.inference.Embed(embed(*TEXTS, request_id="mine"))
    joined = pb.EmbedResponse()
    async for part in service.inference.EmbedStream(embed_stream(*TEXTS, request_id="mine")):
        joined.MergeFrom(pb.EmbedResponse.FromString(part.SerializeToString()))
    assert joined == whole


async def test_a_stream_is_named_first_and_counted_last(service: Service) -> None:
    await load(service)
    parts = [part async for part in service.inference.EmbedStream(embed_stream(*TEXTS))]
    first, *between, end = parts
    assert first.model == "m" and first.request_id
    assert not any(part.model or part.request_id for part in (*between, end))
    assert not any(part.HasField("usage") for part in (first, *between))
    tokens = sum(map(len, TEXTS))
    assert (end.usage.prompt_tokens, end.usage.total_tokens) == (tokens, tokens)
    assert end.usage.completion_tokens == 0


async def test_packed_vectors_are_the_same_numbers(service: Service) -> None:
    await load(service)
    answer = await service.inference.Embed(embed(*TEXTS, encoding=PACKED))
    for one, text in zip(answer.embeddings, TEXTS, strict=True):
        assert list(struct.unpack(f"<{SIZE}f", one.packed)) == vector_of(text, SIZE)
        assert list(one.values) == []


@pytest.mark.parametrize("encoding", [0, embedding_pb2.EMBEDDING_ENCODING_FLOAT])
async def test_vectors_are_lists_of_floats_unless_asked_otherwise(
    service: Service, encoding: Any
) -> None:
    await load(service)
    (one,) = (await service.inference.Embed(embed("a", encoding=encoding))).embeddings
    assert (list(one.values), one.packed) == (vector_of("a", SIZE), b"")


@pytest.mark.parametrize("encoding", [0, PACKED], ids=["floats", "packed"])
async def test_parts_stay_below_a_mebibyte(service: Service, encoding: Any) -> None:
    request = manager_pb.LoadModelRequest(
        id="m",
        source=service.source("m", vector_size=4096, inputs_per_part=200),
        capabilities=[model_pb2.CAPABILITY_EMBED],
        make_default=True,
    )
    await last(service.models.LoadModel(request))
    call = service.inference.EmbedStream(embed_stream(*["x"] * 300, encoding=encoding))
    parts = [part async for part in call]
    assert max(part.ByteSize() for part in parts) < MIB
    assert [one.index for part in parts for one in part.embeddings] == list(range(300))
    assert len(parts) < 20


async def test_tokens_are_embedded_as_texts_are(service: Service) -> None:
    await load(service)
    request = pb.EmbedRequest(inputs=[{"tokens": {"ids": b"ab"}}, {"text": "ab"}])
    first, second = (await service.inference.Embed(request)).embeddings
    assert list(first.values) == list(second.values) == vector_of("ab", SIZE)


async def test_how_vectors_are_made_reaches_the_engine(service: Service) -> None:
    await load(service)
    request = embed("a", pooling=model_pb2.POOLING_LAST, normalize=False)
    (one,) = (await service.inference.Embed(request)).embeddings
    assert list(one.values) == vector_of("a", SIZE, Pooling.LAST, normalize=False)


# Refusals and ends.


async def test_a_model_without_the_capability_does_not_embed(service: Service) -> None:
    await service.load()
    async for call in both(service, "a"):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.reason == "CAPABILITY_NOT_SUPPORTED"
        assert refused.info.metadata["capability"] == "EMBED"


async def test_a_model_that_only_embeds_does_not_generate(service: Service) -> None:
    await load(service)
    refused = await refusal(service.inference.Generate(pb.GenerateRequest(prompt="a")))
    assert refused.reason == "CAPABILITY_NOT_SUPPORTED"


async def test_bad_fields_are_named_before_anything_else(service: Service) -> None:
    async for call in both(service, "", request_id="\n"):
        assert set((await refusal(call)).violations) == {"inputs[0].text", "request_id"}


async def test_an_unknown_model_is_not_found(service: Service) -> None:
    async for call in both(service, "a", model="none"):
        assert (await refusal(call)).reason == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    ("prompt", "reason"), [(Prompts.FULL, "QUEUE_FULL"), (Prompts.LONG, "CONTEXT_LENGTH_EXCEEDED")]
)
async def test_what_the_engine_refuses_is_refused(
    service: Service, prompt: str, reason: str
) -> None:
    await load(service)
    async for call in both(service, "a", prompt):
        assert (await refusal(call)).reason == reason


async def test_the_death_of_the_engine_ends_the_call(service: Service) -> None:
    await load(service, inputs_per_part=1)
    call = service.inference.EmbedStream(embed_stream("a", Prompts.DIE))
    assert (await refusal(last(call))).reason == "ENGINE_RESTARTING"


async def test_a_running_name_cannot_be_taken_twice(service: Service) -> None:
    await load(service)
    call = service.inference.EmbedStream(embed_stream(Prompts.HOLD, "b", "c", request_id="mine"))
    await call.read()
    refused = await refusal(service.inference.Embed(embed("a", request_id="mine")))
    assert refused.reason == "DUPLICATE_REQUEST_ID"
    call.cancel()


async def test_leaving_a_call_frees_the_engine(service: Service) -> None:
    await load(service)
    entry = service.registry.resolve("m")
    stream = service.inference.EmbedStream(embed_stream(Prompts.HOLD, "b", "c"))
    await stream.read()
    unary = asyncio.ensure_future(service.inference.Embed(embed(Prompts.HOLD, "b", "c")))
    await settled(lambda: entry.leases == 2)
    stream.cancel()
    unary.cancel()
    async with asyncio.timeout(5):
        await entry.drained()
    assert (await count(service, Prompts.CANCELS), await count(service, Prompts.LIVE)) == (2, 0)


async def test_a_call_that_is_complete_is_not_cancelled(service: Service) -> None:
    await load(service)
    await service.inference.Embed(embed(*TEXTS))
    await last(service.inference.EmbedStream(embed_stream(*TEXTS)))
    assert await count(service, Prompts.CANCELS) == 0


async def test_an_unload_ends_a_call(service: Service) -> None:
    await load(service)
    call = service.inference.EmbedStream(embed_stream(Prompts.HOLD, "b", "c"))
    await call.read()
    await service.models.UnloadModel(manager_pb.UnloadModelRequest(id="m", force=True))
    assert (await refusal(last(call))).reason == "MODEL_UNLOADED"


async def test_an_engine_that_comes_back_embeds_again(service: Service) -> None:
    await load(service)
    entry = service.registry.resolve("m")
    os.kill(engine_of(service).pid, signal.SIGKILL)
    await entry.until(lambda: entry.restarts == 1 and entry.engine is not None)
    assert len((await service.inference.Embed(embed("a"))).embeddings) == 1
