"""Every bound of every field of Inference, and what a request becomes that keeps to them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.v1 import (
    chat_pb2,
    embedding_pb2,
    inference_pb2,
    model_pb2,
    sampling_pb2,
    tokenization_pb2,
)
from corral_server.config import Pooling
from corral_server.errors import InvalidFields
from corral_server.request import (
    Conversation,
    GenerationRequest,
    Message,
    Priority,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
    Tool,
    ToolCall,
)
from corral_server.rpc import convert, limits
from corral_server.rpc.limits import Range
from rpc.fields import bad_fields, edges

GENERATE = (inference_pb2.GenerateRequest, inference_pb2.GenerateStreamRequest)
CHAT = (inference_pb2.ChatRequest, inference_pb2.ChatStreamRequest)
PLAIN = SamplingParams()
USER = chat_pb2.Message(role=chat_pb2.ROLE_USER, content="hi")


def to_generation(request: Any, defaults: SamplingParams = PLAIN) -> GenerationRequest:
    return convert.generation(request, defaults)


def to_chat(request: Any, defaults: SamplingParams = PLAIN) -> GenerationRequest:
    return convert.chat(request, defaults)


def generate(kind: Any = GENERATE[0], **fields: Any) -> Any:
    return kind(**({"prompt": "hi"} | fields))


def chat(kind: Any = CHAT[0], **fields: Any) -> Any:
    return kind(**({"messages": [USER]} | fields))


WHOLE = {"top_k", "repeat_last_n"}
SAMPLING = [(name, bounds) for name, bounds in limits.SAMPLING.items() if name != "seed"]


@pytest.mark.parametrize(("name", "bounds"), SAMPLING)
@pytest.mark.parametrize("kind", GENERATE)
def test_sampling_keeps_to_its_bounds(name: str, bounds: Range, kind: Any) -> None:
    inside, outside = edges(bounds, whole=name in WHOLE)
    for value in inside:
        sampling = sampling_pb2.SamplingParams(**{name: _typed(name, value)})
        converted = to_generation(generate(kind, sampling=sampling))
        assert getattr(converted.sampling, name) == value
    for value in outside:
        sampling = sampling_pb2.SamplingParams(**{name: _typed(name, value)})
        assert bad_fields(to_generation, generate(kind, sampling=sampling)) == [
            f"sampling.{name}"
        ], value


def _typed(name: str, value: float) -> Any:
    return int(value) if name in WHOLE else value


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_every_seed_is_taken_as_it_is(seed: int) -> None:
    sampling = sampling_pb2.SamplingParams(seed=seed)
    assert to_generation(generate(sampling=sampling)).sampling.seed == seed


def test_without_a_seed_one_is_drawn() -> None:
    seeds = {to_generation(generate()).sampling.seed for _ in range(8)}
    assert len(seeds) > 1


@pytest.mark.parametrize(("value", "good"), [(0, False), (1, True), (2**24, True), (-1, False)])
@pytest.mark.parametrize("kind", GENERATE + CHAT)
def test_max_tokens_keeps_to_its_bounds(kind: Any, value: int, good: bool) -> None:
    if kind in GENERATE:
        fields = bad_fields(to_generation, generate(kind, max_tokens=value))
    else:
        fields = bad_fields(to_chat, chat(kind, max_tokens=value))
    assert fields == ([] if good else ["max_tokens"])


def test_more_max_tokens_than_the_bound_are_refused() -> None:
    assert bad_fields(to_generation, generate(max_tokens=2**24 + 1)) == ["max_tokens"]


@pytest.mark.parametrize("bias", [-1000.0, 1000.0])
def test_a_logit_bias_may_be_as_far_as_its_bounds(bias: float) -> None:
    sampling = sampling_pb2.SamplingParams(logit_bias={7: bias})
    assert to_generation(generate(sampling=sampling)).sampling.logit_bias == {7: bias}


@pytest.mark.parametrize("bias", [-1000.1, 1000.1, math.nan, math.inf])
def test_a_logit_bias_out_of_bounds_is_named_by_its_token(bias: float) -> None:
    sampling = sampling_pb2.SamplingParams(logit_bias={7: bias, 8: 0.0})
    fields = bad_fields(to_generation, generate(sampling=sampling))
    assert fields == ["sampling.logit_bias[7]"]


def ids(count: int) -> tokenization_pb2.TokenIds:
    return tokenization_pb2.TokenIds(ids=[1] * count)


def biases(count: int) -> sampling_pb2.SamplingParams:
    return sampling_pb2.SamplingParams(logit_bias=dict.fromkeys(range(count), 0.0))


def stops(count: int, size: int = 1) -> sampling_pb2.StopParams:
    return sampling_pb2.StopParams(strings=["x" * size] * count)


def stop_ids(count: int) -> sampling_pb2.StopParams:
    return sampling_pb2.StopParams(token_ids=[1] * count)


def user(**fields: Any) -> Any:
    return chat(messages=[chat_pb2.Message(**({"role": chat_pb2.ROLE_USER} | fields))])


def assistant(**call: Any) -> Any:
    tool_call = chat_pb2.ToolCall(**({"name": "f"} | call))
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[tool_call])
    return chat(messages=[message])


def tool(**fields: Any) -> Any:
    return chat(tools=[chat_pb2.Tool(**({"name": "f"} | fields))])


def embed(*inputs: Any, **fields: Any) -> inference_pb2.EmbedRequest:
    """Of texts and of TokenIds."""
    given = [
        embedding_pb2.EmbedInput(**{"text" if isinstance(one, str) else "tokens": one})
        for one in inputs or ("hi",)
    ]
    return inference_pb2.EmbedRequest(inputs=given, **fields)


MIB = 1024 * 1024
JSON_64K = '"' + "x" * (64 * 1024 - 9) + '"'

SIZES: list[tuple[Callable[..., Any], Callable[[int], Any], int, str]] = [
    (to_generation, lambda n: generate(prompt="x" * n), 4 * MIB, "prompt"),
    (to_generation, lambda n: generate(sampling=biases(n)), 1024, "sampling.logit_bias"),
    (to_generation, lambda n: generate(stop=stops(n)), 16, "stop.strings"),
    (to_generation, lambda n: generate(stop=stops(1, n)), 256, "stop.strings[0]"),
    (to_generation, lambda n: generate(stop=stop_ids(n)), 64, "stop.token_ids"),
    (to_generation, lambda n: generate(request_id="x" * n), 128, "request_id"),
    (to_generation, lambda n: generate(request_id="é" * n), 128, "request_id"),
    (to_generation, lambda n: generate(cache_scope="é" * n), 128, "cache_scope"),
    (to_chat, lambda n: chat(cache_scope="x" * n), 128, "cache_scope"),
    (convert.embed, lambda n: embed(request_id="é" * n), 128, "request_id"),
    (convert.embed, lambda n: embed(*["x"] * n), 4096, "inputs"),
    (convert.embed, lambda n: embed("ok", "x" * n), 4 * MIB, "inputs[1].text"),
    (convert.embed, lambda n: embed(ids(n)), 1_000_000, "inputs[0].tokens.ids"),
    (
        to_generation,
        lambda n: inference_pb2.GenerateRequest(prompt_tokens=ids(n)),
        1_000_000,
        "prompt_tokens.ids",
    ),
    (to_chat, lambda n: chat(messages=[USER] * n), 4096, "messages"),
    (to_chat, lambda n: chat(tools=[chat_pb2.Tool(name="f")] * n), 128, "tools"),
    (to_chat, lambda n: user(content="x" * n), 4 * MIB, "messages[0].content"),
    (to_chat, lambda n: user(name="x" * n), 128, "messages[0].name"),
    (to_chat, lambda n: user(tool_call_id="x" * n), 128, "messages[0].tool_call_id"),
    (to_chat, lambda n: assistant(id="x" * n), 128, "messages[0].tool_calls[0].id"),
    (to_chat, lambda n: assistant(name="x" * n), 64, "messages[0].tool_calls[0].name"),
    (to_chat, lambda n: tool(name="x" * n), 64, "tools[0].name"),
    (to_chat, lambda n: tool(description="x" * n), 4096, "tools[0].description"),
    (
        to_chat,
        lambda n: tool(parameters='{"x":"' + "x" * (n - 8) + '"}'),
        64 * 1024,
        "tools[0].parameters",
    ),
    (
        to_chat,
        lambda n: assistant(arguments='{"x":"' + "x" * (n - 8) + '"}'),
        64 * 1024,
        "messages[0].tool_calls[0].arguments",
    ),
    (convert.text, lambda n: "x" * n, 4 * MIB, "text"),
    (
        convert.token_ids,
        lambda n: inference_pb2.DetokenizeRequest(token_ids=[1] * n),
        1_000_000,
        "token_ids",
    ),
    (
        convert.counted,
        lambda n: inference_pb2.CountTokensRequest(prompt="x" * n),
        4 * MIB,
        "prompt",
    ),
]


@pytest.mark.parametrize(
    ("convert", "request_of", "most", "field"), SIZES, ids=[size[3] for size in SIZES]
)
def test_sizes_end_at_their_bounds(
    convert: Callable[..., Any], request_of: Callable[[int], Any], most: int, field: str
) -> None:
    extra = [field] if convert.__name__ == "text" else []
    assert bad_fields(convert, request_of(most), *extra) == []
    assert bad_fields(convert, request_of(most + 1), *extra) == [field]


def test_a_size_is_counted_in_bytes() -> None:
    assert bad_fields(to_generation, generate(stop=stops(1, 256))) == []
    stop = sampling_pb2.StopParams(strings=["é" * 129])
    assert bad_fields(to_generation, generate(stop=stop)) == ["stop.strings[0]"]


EMPTY_CHAT = chat_pb2.Conversation()
BAD: list[tuple[Callable[..., Any], Any, list[str]]] = [
    (to_generation, inference_pb2.GenerateRequest(), ["prompt"]),
    (to_generation, generate(prompt=""), ["prompt"]),
    (
        to_generation,
        inference_pb2.GenerateRequest(prompt_tokens=ids(0)),
        ["prompt_tokens"],
    ),
    (
        to_generation,
        generate(stop=sampling_pb2.StopParams(strings=["x", ""])),
        ["stop.strings[1]"],
    ),
    (to_generation, generate(request_id="a\nb"), ["request_id"]),
    (to_generation, generate(cache_scope="a\nb"), ["cache_scope"]),
    (to_chat, chat(cache_scope="\0"), ["cache_scope"]),
    (to_generation, generate(priority=4), ["priority"]),
    (to_chat, chat(priority=-1), ["priority"]),
    (convert.embed, embed("x", request_id="a\nb"), ["request_id"]),
    (convert.embed, inference_pb2.EmbedRequest(), ["inputs"]),
    (convert.embed, embed("x", ""), ["inputs[1].text"]),
    (convert.embed, embed("x", ids(0)), ["inputs[1].tokens"]),
    (convert.embed, inference_pb2.EmbedRequest(inputs=[{}]), ["inputs[0].text"]),
    (convert.embed, embed("x", pooling=9), ["pooling"]),
    (convert.embed, embed("x", encoding=9), ["encoding"]),
    (to_chat, inference_pb2.ChatRequest(), ["messages"]),
    (to_chat, user(role=chat_pb2.ROLE_UNSPECIFIED), ["messages[0].role"]),
    (to_chat, user(role=99), ["messages[0].role"]),
    (to_chat, user(reasoning="hm"), ["messages[0].reasoning"]),
    (
        to_chat,
        user(tool_calls=[chat_pb2.ToolCall(name="f")]),
        ["messages[0].tool_calls"],
    ),
    (to_chat, assistant(name="no spaces"), ["messages[0].tool_calls[0].name"]),
    (to_chat, assistant(arguments="{"), ["messages[0].tool_calls[0].arguments"]),
    (to_chat, assistant(arguments="[]"), ["messages[0].tool_calls[0].arguments"]),
    (to_chat, assistant(arguments="[" * 50_000), ["messages[0].tool_calls[0].arguments"]),
    (to_chat, tool(name=""), ["tools[0].name"]),
    (to_chat, tool(name="naïve"), ["tools[0].name"]),
    (to_chat, tool(parameters="nonsense"), ["tools[0].parameters"]),
    (to_chat, tool(parameters='"text"'), ["tools[0].parameters"]),
    (convert.counted, inference_pb2.CountTokensRequest(), ["input"]),
    (
        convert.counted,
        inference_pb2.CountTokensRequest(conversation=EMPTY_CHAT),
        ["conversation.messages"],
    ),
]


@pytest.mark.parametrize(("convert", "request_", "fields"), BAD, ids=lambda value: str(value)[:40])
def test_what_makes_no_sense_is_named(
    convert: Callable[..., Any], request_: Any, fields: list[str]
) -> None:
    assert bad_fields(convert, request_) == fields


def test_all_that_is_wrong_is_named_at_once() -> None:
    request = chat(
        messages=[
            chat_pb2.Message(role=chat_pb2.ROLE_UNSPECIFIED),
            chat_pb2.Message(role=chat_pb2.ROLE_USER, name="x" * 129),
        ],
        tools=[chat_pb2.Tool(name="?")],
        max_tokens=0,
        request_id="x" * 129,
        sampling=sampling_pb2.SamplingParams(temperature=-1, top_p=2, logit_bias={5: 9999}),
        stop=sampling_pb2.StopParams(strings=[""]),
    )
    assert sorted(bad_fields(to_chat, request)) == [
        "max_tokens",
        "messages[0].role",
        "messages[1].name",
        "request_id",
        "sampling.logit_bias[5]",
        "sampling.temperature",
        "sampling.top_p",
        "stop.strings[0]",
        "tools[0].name",
    ]


def test_a_refusal_says_what_is_right() -> None:
    sampling = sampling_pb2.SamplingParams(top_p=1.5)
    with pytest.raises(InvalidFields, match=r"sampling\.top_p: must be 0 to 1, not 1\.5"):
        to_generation(generate(sampling=sampling))


@given(
    st.floats(width=32), st.integers(-(2**31), 2**31 - 1), st.floats(width=32), st.integers(0, 9)
)
def test_no_sampling_gets_through_that_is_out_of_bounds(
    temperature: float, top_k: int, bias: float, token: int
) -> None:
    sampling = sampling_pb2.SamplingParams(
        temperature=temperature, top_k=top_k, logit_bias={token: bias}
    )
    good = 0 <= temperature <= 100 and 0 <= top_k <= 1_000_000 and -1000 <= bias <= 1000
    assert (bad_fields(to_generation, generate(sampling=sampling)) == []) is good


# What a good request becomes.


def test_what_is_left_out_takes_its_default() -> None:
    converted = to_generation(generate())
    assert converted.prompt == TextPrompt(text="hi")
    assert (converted.max_tokens, converted.wants_tokens) == (None, False)
    assert converted.sampling == SamplingParams(seed=converted.sampling.seed)


def test_a_zero_that_is_set_is_a_zero() -> None:
    zeros = sampling_pb2.SamplingParams(temperature=0, top_k=0, top_p=0, min_p=0, repeat_last_n=0)
    sampling = to_generation(generate(sampling=zeros)).sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0, 0, 0)
    assert (sampling.min_p, sampling.repeat_last_n, sampling.is_greedy) == (0, 0, True)


def test_prompt_tokens_are_taken_as_they_are() -> None:
    request = inference_pb2.GenerateRequest(prompt_tokens=tokenization_pb2.TokenIds(ids=[3, 1, 2]))
    assert to_generation(request).prompt == TokenPrompt((3, 1, 2))


def test_a_conversation_arrives_whole() -> None:
    call = chat_pb2.ToolCall(id="c", name="f", arguments='{"x": 1}')
    request = chat(
        messages=[
            chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="s"),
            chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, reasoning="r", tool_calls=[call]),
            chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id="c", name="f", content="1"),
        ],
        tools=[chat_pb2.Tool(name="f", description="d")],
        enable_thinking=False,
    )
    assert to_chat(request).prompt == Conversation(
        messages=(
            Message(role="system", content="s"),
            Message(
                role="assistant",
                content="",
                reasoning="r",
                tool_calls=(ToolCall("c", "f", '{"x": 1}'),),
            ),
            Message(role="tool", content="1", tool_call_id="c", name="f"),
        ),
        tools=(Tool("f", "d", '{"type": "object", "properties": {}}'),),
        enable_thinking=False,
    )


def test_thinking_is_left_to_the_template_unless_it_is_set() -> None:
    prompt = to_chat(chat()).prompt
    assert isinstance(prompt, Conversation) and prompt.enable_thinking is None


@pytest.mark.parametrize("kind", GENERATE + CHAT)
def test_who_shares_a_prompt_and_who_goes_first_is_taken_as_asked(kind: Any) -> None:
    ask, convert_it = (generate, to_generation) if kind in GENERATE else (chat, to_chat)
    plain = convert_it(ask(kind))
    assert (plain.cache_scope, plain.priority) == ("", Priority.NORMAL)
    for number, priority in (
        (inference_pb2.PRIORITY_LOW, Priority.LOW),
        (inference_pb2.PRIORITY_NORMAL, Priority.NORMAL),
        (inference_pb2.PRIORITY_HIGH, Priority.HIGH),
    ):
        asked = convert_it(ask(kind, cache_scope="tenant 7", priority=number))
        assert (asked.cache_scope, asked.priority) == ("tenant 7", priority)


def test_a_request_id_is_kept_or_made() -> None:
    assert convert.request_id("mine") == "mine"
    assert convert.request_id("") != convert.request_id("")


# What a model's own sampling is to its requests.


def test_what_a_request_leaves_out_is_as_the_model_says() -> None:
    defaults = SamplingParams(temperature=0.5, top_k=7, seed=3, logit_bias={1: 2.0})
    sampling = to_generation(generate(), defaults).sampling
    assert sampling == defaults
    asked = sampling_pb2.SamplingParams(temperature=0, seed=0)
    sampling = to_chat(chat(sampling=asked), defaults).sampling
    assert (sampling.temperature, sampling.seed, sampling.top_k) == (0, 0, 7)


def test_biases_replace_those_of_the_model() -> None:
    defaults = SamplingParams(logit_bias={1: 2.0})
    asked = sampling_pb2.SamplingParams(logit_bias={5: 1.0})
    assert to_generation(generate(sampling=asked), defaults).sampling.logit_bias == {5: 1.0}


# What is to be embedded.


def test_inputs_arrive_in_order() -> None:
    call = convert.embed(embed("a", tokenization_pb2.TokenIds(ids=[3, 1]), "b"))
    assert call.inputs == (TextPrompt(text="a"), TokenPrompt((3, 1)), TextPrompt(text="b"))
    assert (call.pooling, call.normalize, call.packed) == (None, True, False)


def test_how_vectors_are_made_and_travel_is_taken_as_asked() -> None:
    call = convert.embed(
        embed(
            "a",
            pooling=model_pb2.POOLING_CLS,
            normalize=False,
            encoding=embedding_pb2.EMBEDDING_ENCODING_FLOAT32_LE,
        )
    )
    assert (call.pooling, call.normalize, call.packed) == (Pooling.CLS, False, True)
