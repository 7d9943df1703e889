"""The Inference service through gRPC, with a fake engine that answers "1 2 3 "."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from corral.v1 import chat_pb2, model_pb2, sampling_pb2, tokenization_pb2, usage_pb2
from corral.v1 import inference_pb2 as pb
from corral.v1 import model_manager_pb2 as manager_pb
from corral_server.models.engine_client import EngineClient
from corral_server.request import Priority, TextPrompt
from corral_server.rpc.call import Call
from corral_server.rpc.inference import Inference
from fake_engine import PROMPT_TOKENS, SEQUENCE_LIMIT, Echo, Prompts, text_of
from rpc.service import Service, last, refusal
from watch import open_files, settled

pytestmark = pytest.mark.asyncio


def messages(text: str) -> list[chat_pb2.Message]:
    return [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)]


def generate(text: str = "hi", **fields: Any) -> Any:
    return pb.GenerateRequest(prompt=text, **fields)


def generate_stream(text: str = "hi", **fields: Any) -> Any:
    return pb.GenerateStreamRequest(prompt=text, **fields)


def chat(text: str = "hi", **fields: Any) -> Any:
    return pb.ChatRequest(messages=messages(text), **fields)


def chat_stream(text: str = "hi", **fields: Any) -> Any:
    return pb.ChatStreamRequest(messages=messages(text), **fields)


# The four ways to ask, each with the same words: a begun call, unary or stream.
Ask = Callable[..., Any]
WAYS: dict[str, Callable[[Service], Ask]] = {
    "Generate": lambda s: lambda *a, **k: s.inference.Generate(generate(*a, **k)),
    "GenerateStream": lambda s: (
        lambda *a, **k: s.inference.GenerateStream(generate_stream(*a, **k))
    ),
    "Chat": lambda s: lambda *a, **k: s.inference.Chat(chat(*a, **k)),
    "ChatStream": lambda s: lambda *a, **k: s.inference.ChatStream(chat_stream(*a, **k)),
}
STREAMS = ("GenerateStream", "ChatStream")


async def end_of(call: Any) -> Any:
    """The answer, or the last message of a stream."""
    return await last(call) if hasattr(call, "read") else await call


def engine_of(service: Service, id: str = "m") -> EngineClient:
    engine = service.registry.resolve(id).engine
    assert engine is not None
    return engine


async def live(service: Service) -> int:
    """Answers the engine still works on."""
    return await engine_of(service).count_tokens(TextPrompt(text=Prompts.LIVE))


async def hold(service: Service, way: str, **fields: Any) -> Any:
    """A stream that has begun, and goes on until it is ended."""
    call = WAYS[way](service)(Prompts.HOLD, **fields)
    assert (await call.read()).WhichOneof("event") == "started"
    return call


# Answers.


@pytest.mark.parametrize("way", STREAMS)
async def test_a_stream_is_started_then_deltas_then_finished(service: Service, way: str) -> None:
    await service.load()
    events = [event async for event in WAYS[way](service)(max_tokens=50)]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "started" and kinds[-1] == "finished"
    assert set(kinds[1:-1]) == {"delta"}


@pytest.mark.parametrize("way", STREAMS)
async def test_the_deltas_join_to_the_text_and_count_without_gap_or_repeat(
    service: Service, way: str
) -> None:
    await service.load()
    call = WAYS[way](service)(max_tokens=50, output=pb.OutputOptions(tokens=True))
    deltas = [event.delta async for event in call if event.HasField("delta")]
    seen = 0
    for delta in deltas:
        assert [token.id for token in delta.tokens] == list(
            range(seen + 1, delta.completion_tokens + 1)
        )
        seen = delta.completion_tokens
    assert seen == 50
    assert "".join(delta.text for delta in deltas) == text_of(50)


@pytest.mark.parametrize("way", STREAMS)
async def test_a_stream_begins_by_telling_what_was_accepted(service: Service, way: str) -> None:
    await service.load()
    sampling = sampling_pb2.SamplingParams(seed=7, temperature=0.5, logit_bias={3: 1.0})
    call = WAYS[way](service)(sampling=sampling, request_id="mine")
    started = (await call.read()).started
    assert (started.request_id, started.model) == ("mine", "m")
    assert started.prompt_tokens == PROMPT_TOKENS
    assert_in_force(started.sampling)


def assert_in_force(sampling: sampling_pb2.SamplingParams) -> None:
    """All that was asked for, and every field that was not."""
    assert (sampling.seed, sampling.temperature, dict(sampling.logit_bias)) == (7, 0.5, {3: 1.0})
    fields = [field.name for field in sampling.DESCRIPTOR.fields if field.has_presence]
    assert [name for name in fields if not sampling.HasField(name)] == []


@pytest.mark.parametrize("way", STREAMS)
async def test_a_stream_begins_by_telling_how_long_it_waits(service: Service, way: str) -> None:
    await service.load()
    started = (await WAYS[way](service)(Prompts.QUEUED).read()).started
    assert started.queue_position == 2
    assert started.estimated_wait.ToMilliseconds() == 1500
    started = (await WAYS[way](service)().read()).started
    assert started.queue_position == 0 and not started.HasField("estimated_wait")


async def echo(call: Any) -> Echo:
    """What the engine heard of a request for `Prompts.ECHO`."""
    if not hasattr(call, "read"):
        answer = await call
        text = answer.text if hasattr(answer, "text") else answer.message.content
    else:
        text = "".join([event.delta.text async for event in call])
    return msgspec.json.decode(text.partition("}")[0] + "}", type=Echo)


@pytest.mark.parametrize("way", WAYS)
async def test_scope_and_priority_reach_the_engine(service: Service, way: str) -> None:
    await service.load()
    asked = {"cache_scope": "tenant", "priority": pb.PRIORITY_HIGH}
    assert await echo(WAYS[way](service)(Prompts.ECHO, **asked)) == Echo(
        cache_scope="tenant", priority=Priority.HIGH, time_left_s=None
    )


@pytest.mark.parametrize("way", ["Generate", "GenerateStream"])
async def test_what_the_deadline_leaves_reaches_the_engine(service: Service, way: str) -> None:
    await service.load()
    request = {"Generate": generate, "GenerateStream": generate_stream}[way](Prompts.ECHO)
    left_s = (await echo(getattr(service.inference, way)(request, timeout=60))).time_left_s
    # gRPC rounds what it sends up.
    assert left_s is not None and 50 < left_s < 61


async def test_a_load_that_is_waited_for_takes_from_what_the_deadline_leaves(
    service: Service, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = service.source("m", at_load="wait", gate=str(gate))
    loading = service.models.LoadModel(manager_pb.LoadModelRequest(id="m", source=source))
    await loading.read()
    call = Call("Generate", "here", deadline=time.monotonic() + 60)
    asked = Inference(service.registry).Generate(generate(Prompts.ECHO, model="m"), call)
    answer = asyncio.ensure_future(echo(asyncio.create_task(asked)))
    await settled(lambda: service.registry.resolve("m").callers_waiting == 1)
    left_while_loading_s = call.time_left_s
    await asyncio.to_thread(gate.write_bytes, b"go")
    left_s = (await answer).time_left_s
    assert left_s is not None and left_while_loading_s is not None
    assert 0 < left_s < left_while_loading_s


async def test_after_the_deadline_nothing_is_left() -> None:
    assert Call("Generate", "here", deadline=time.monotonic() - 1).time_left_s == 0
    assert Call("Generate", "here").time_left_s is None


@pytest.mark.parametrize(("unary", "stream"), [("Generate", STREAMS[0]), ("Chat", STREAMS[1])])
async def test_the_answer_without_a_stream_is_the_same(
    service: Service, unary: str, stream: str
) -> None:
    await service.load()
    asked = {
        "max_tokens": 9,
        "output": pb.OutputOptions(tokens=True),
        "sampling": sampling_pb2.SamplingParams(seed=7, temperature=0.5, logit_bias={3: 1.0}),
    }
    answer = await WAYS[unary](service)(**asked)
    events = [event async for event in WAYS[stream](service)(**asked)]
    deltas = [event.delta for event in events if event.HasField("delta")]
    text = answer.text if unary == "Generate" else answer.message.content
    assert text == "".join(delta.text for delta in deltas) == text_of(9)
    assert list(answer.tokens) == [token for delta in deltas for token in delta.tokens]
    assert answer.finished == events[-1].finished
    assert answer.sampling == events[0].started.sampling
    assert answer.model == events[0].started.model == "m"


async def test_a_chat_is_answered_by_the_assistant(service: Service) -> None:
    await service.load()
    answer = await service.inference.Chat(chat())
    assert answer.message.role == chat_pb2.ROLE_ASSISTANT


@pytest.mark.parametrize("way", WAYS)
async def test_the_end_tells_why_and_what_it_cost(service: Service, way: str) -> None:
    await service.load()
    finished = (await end_of(WAYS[way](service)(max_tokens=5))).finished
    assert finished.reason == usage_pb2.FINISH_REASON_LENGTH
    assert finished.usage == usage_pb2.Usage(
        prompt_tokens=3, completion_tokens=5, cached_tokens=1, total_tokens=8
    )
    timings = finished.timings
    seconds = [
        getattr(timings, name).ToMilliseconds() / 1000
        for name in ("queue", "prefill", "decode", "total", "time_to_first_token")
    ]
    assert seconds == [0.5, 1.0, 2.0, 3.5, 1.5]
    assert (timings.prefill_tokens_per_second, timings.decode_tokens_per_second) == (2.0, 2.0)


@pytest.mark.parametrize("way", WAYS)
async def test_tokens_come_only_when_asked_for(service: Service, way: str) -> None:
    await service.load()
    call = WAYS[way](service)()
    answers = [event async for event in call] if way in STREAMS else [await call]
    assert not any(list(answer.delta.tokens) for answer in answers if way in STREAMS)
    assert way in STREAMS or not answers[0].tokens


async def test_tokens_bring_their_bytes(service: Service) -> None:
    await service.load()
    answer = await service.inference.Generate(
        generate(max_tokens=2, output=pb.OutputOptions(tokens=True))
    )
    assert [(token.id, token.piece) for token in answer.tokens] == [(1, b"1 "), (2, b"2 ")]


async def test_prompt_tokens_reach_the_engine(service: Service) -> None:
    await service.load()
    hi = tokenization_pb2.TokenIds(ids=b"long")
    refused = await refusal(service.inference.Generate(pb.GenerateRequest(prompt_tokens=hi)))
    assert refused.reason == "CONTEXT_LENGTH_EXCEEDED"


@pytest.mark.parametrize("way", WAYS)
async def test_a_request_without_a_name_gets_one(service: Service, way: str) -> None:
    await service.load()
    names = set()
    for _ in range(2):
        call = WAYS[way](service)()
        names.add(
            (await call.read()).started.request_id if way in STREAMS else (await call).request_id
        )
    assert len(names) == 2 and "" not in names


# Which model.


@pytest.mark.parametrize("way", WAYS)
async def test_no_name_means_the_default_model(service: Service, way: str) -> None:
    await service.load("a")
    await service.load("b", default=False)
    call = WAYS[way](service)()
    answer = (await call.read()).started if way in STREAMS else await call
    assert answer.model == "a"


@pytest.mark.parametrize("way", WAYS)
async def test_without_a_default_a_model_must_be_named(service: Service, way: str) -> None:
    await service.load("a", default=False)
    refused = await refusal(end_of(WAYS[way](service)()))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_DEFAULT_MODEL",
    )


@pytest.mark.parametrize("way", WAYS)
async def test_an_unknown_model_is_not_found(service: Service, way: str) -> None:
    await service.load("a")
    refused = await refusal(end_of(WAYS[way](service)(model="b")))
    assert (refused.code, refused.reason, refused.resource) == (
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        "b",
    )
    assert refused.info.metadata["candidates"] == "a"


@pytest.mark.parametrize(
    ("way", "capability"),
    [
        ("Generate", model_pb2.CAPABILITY_CHAT),
        ("GenerateStream", model_pb2.CAPABILITY_CHAT),
        ("Chat", model_pb2.CAPABILITY_GENERATE),
        ("ChatStream", model_pb2.CAPABILITY_GENERATE),
    ],
)
async def test_a_model_does_only_what_it_was_loaded_for(
    service: Service, way: str, capability: model_pb2.Capability
) -> None:
    request = manager_pb.LoadModelRequest(
        id="m", source=service.source("m"), capabilities=[capability]
    )
    await last(service.models.LoadModel(request))
    refused = await refusal(end_of(WAYS[way](service)(model="m")))
    assert refused.reason == "CAPABILITY_NOT_SUPPORTED"


# Refusals.


@pytest.mark.parametrize("way", WAYS)
async def test_bad_fields_are_named_before_anything_else(service: Service, way: str) -> None:
    refused = await refusal(end_of(WAYS[way](service)(max_tokens=0, request_id="\n")))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.violations) == {"max_tokens", "request_id"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_full_queue_says_when_to_come_back(service: Service, way: str) -> None:
    await service.load()
    refused = await refusal(end_of(WAYS[way](service)(Prompts.FULL)))
    assert (refused.code, refused.reason, refused.retry_after_s) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUEUE_FULL",
        1.5,
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_name_that_is_in_use_is_refused_until_it_is_free(
    service: Service, way: str
) -> None:
    await service.load()
    held = await hold(service, "GenerateStream", request_id="mine")
    refused = await refusal(end_of(WAYS[way](service)(request_id="mine")))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "DUPLICATE_REQUEST_ID",
    )
    held.cancel()
    await service.registry.resolve("m").drained()
    await end_of(WAYS[way](service)(request_id="mine"))


@pytest.mark.parametrize("way", WAYS)
async def test_a_death_ends_a_call_with_when_to_come_back(service: Service, way: str) -> None:
    await service.load()
    refused = await refusal(end_of(WAYS[way](service)(Prompts.DIE)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_RESTARTING")
    assert refused.retry_after_s == 0.5


async def test_an_unload_ends_a_call_it_does_not_wait_for(service: Service) -> None:
    await service.load()
    held = await hold(service, "ChatStream")
    await service.registry.unload("m", drain_timeout_s=0, force=True)
    refused = await refusal(last(held))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "MODEL_UNLOADED")


# Leaving early.


@pytest.mark.parametrize("way", STREAMS)
async def test_a_cancel_frees_the_engine(service: Service, way: str) -> None:
    await service.load()
    held = await hold(service, way)
    assert await live(service) == 1
    held.cancel()
    await service.registry.resolve("m").drained()
    assert await live(service) == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_deadline_frees_the_engine(service: Service, way: str) -> None:
    await service.load()
    requests: dict[str, Any] = {
        "Generate": generate,
        "GenerateStream": generate_stream,
        "Chat": chat,
        "ChatStream": chat_stream,
    }
    call = getattr(service.inference, way)(requests[way](Prompts.HOLD), timeout=0.3)
    assert (await refusal(end_of(call))).code is grpc.StatusCode.DEADLINE_EXCEEDED
    await service.registry.resolve("m").drained()
    assert await live(service) == 0


async def test_a_client_that_vanishes_frees_the_engine(service: Service) -> None:
    await service.load()
    await hold(service, "GenerateStream")
    await service.channel.close()
    await service.registry.resolve("m").drained()
    assert await live(service) == 0


async def test_a_call_that_leaves_while_its_model_loads_holds_nothing(service: Service) -> None:
    source = service.source("m", at_load="stall")
    loading = service.models.LoadModel(manager_pb.LoadModelRequest(id="m", source=source))
    await loading.read()
    call = service.inference.Generate(generate(model="m"), timeout=0.2)
    assert (await refusal(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.registry.resolve("m").leases == 0


async def test_a_thousand_cancelled_streams_leave_nothing_behind(service: Service) -> None:
    await service.load()
    await end_of(service.inference.Generate(generate()))
    entry, engine = service.registry.resolve("m"), engine_of(service)
    tasks, files = len(asyncio.all_tasks()), open_files()

    async def leave(way: str) -> None:
        call = await hold(service, way)
        call.cancel()

    for _ in range(20):
        await asyncio.gather(*(leave(way) for way in STREAMS for _ in range(25)))
    await entry.drained()
    assert (await live(service), len(engine._calls)) == (0, 0)
    await settled(lambda: len(asyncio.all_tasks()) <= tasks and open_files() <= files)


# Tokens.


async def test_tokenize_tells_tokens_and_their_bytes(service: Service) -> None:
    await service.load()
    answer = await service.inference.Tokenize(pb.TokenizeRequest(text="é"))
    assert answer.model == "m"
    assert [(token.id, token.piece) for token in answer.tokens] == [
        (0xC3, b"\xc3"),
        (0xA9, b"\xa9"),
    ]


async def test_detokenize_tells_the_bytes_and_shows_what_is_no_text(service: Service) -> None:
    await service.load()
    answer = await service.inference.Detokenize(pb.DetokenizeRequest(token_ids=[104, 0xC3]))
    assert (answer.model, answer.raw, answer.text) == ("m", b"h\xc3", "h\ufffd")


@pytest.mark.parametrize(
    "asked",
    [{"prompt": "hi"}, {"conversation": chat_pb2.Conversation(messages=messages("hi"))}],
    ids=["prompt", "conversation"],
)
async def test_count_tokens_counts_and_tells_the_limit(
    service: Service, asked: dict[str, Any]
) -> None:
    await service.load()
    answer = await service.inference.CountTokens(pb.CountTokensRequest(**asked))
    assert (answer.model, answer.tokens, answer.sequence_limit) == (
        "m",
        PROMPT_TOKENS,
        SEQUENCE_LIMIT,
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda stub: stub.Tokenize(pb.TokenizeRequest(text="x" * (4 * 2**20 + 1))),
        lambda stub: stub.Detokenize(pb.DetokenizeRequest(token_ids=[1] * 1_000_001)),
        lambda stub: stub.CountTokens(pb.CountTokensRequest()),
    ],
    ids=["Tokenize", "Detokenize", "CountTokens"],
)
async def test_bad_questions_are_refused(service: Service, ask: Callable[[Any], Any]) -> None:
    refused = await refusal(ask(service.inference))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(refused.violations) == 1


async def test_a_question_ends_with_its_engine(service: Service) -> None:
    await service.load()
    question = asyncio.ensure_future(
        service.inference.CountTokens(pb.CountTokensRequest(prompt=Prompts.MUTE))
    )
    await settled(lambda: service.registry.resolve("m").leases == 1)
    os.kill(engine_of(service).pid, signal.SIGKILL)
    assert (await refusal(question)).reason == "ENGINE_RESTARTING"
