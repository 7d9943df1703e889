"""Asking for text, through both clients."""

import json

import pytest

from corral import FinishReason, Message, Priority, Role, define_tool, system, tool, user
from corral.aio import Client
from corral.v1.inference_pb2 import GenerateRequest, GenerateStreamRequest

from .scripted_server import FINISHED, LOADS, TOKENS, ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_generate_answer_is_its_text(client: Client) -> None:
    answer = await client.inference.generate("Once")
    assert str(answer) == answer.text == answer.proto.text == "Hello world"
    assert (answer.model, answer.request_id) == ("demo", "r1")
    assert answer.finished.reason == FinishReason.FINISH_REASON_EOS
    assert list(answer.tokens) == TOKENS


async def test_generate_sends_zeros_and_leaves_out_what_was_left_out(
    client: Client, server: ScriptedServer
) -> None:
    await client.inference.generate("Once", temperature=0, seed=None, stop="\n", max_tokens=3)
    (request,) = server.requests
    assert isinstance(request, GenerateRequest)
    assert (request.prompt, request.max_tokens) == ("Once", 3)
    assert request.sampling.HasField("temperature") and not request.sampling.HasField("seed")
    assert list(request.stop.strings) == ["\n"]


async def test_all_options_reach_both_generate_requests(
    client: Client, server: ScriptedServer
) -> None:
    await client.inference.generate(
        [1, 2],
        model="m",
        request_id="mine",
        stop=["a", "b"],
        stop_token_ids=[3],
        include_stop=True,
        ignore_eos=True,
        tokens=True,
        parse_special=True,
        top_k=1,
        logit_bias={4: -1.5},
    )
    stream = client.inference.generate_stream(
        [1, 2],
        model="m",
        request_id="mine",
        stop=["a", "b"],
        stop_token_ids=[3],
        include_stop=True,
        ignore_eos=True,
        tokens=True,
        parse_special=True,
        top_k=1,
        logit_bias={4: -1.5},
    )
    async for _ in stream:
        pass
    whole, streamed = server.requests
    assert whole.SerializeToString() == GenerateStreamRequest.SerializeToString(streamed)
    assert list(whole.prompt_tokens.ids) == [1, 2]
    assert list(whole.stop.strings) == ["a", "b"]
    assert dict(whole.sampling.logit_bias) == {4: -1.5}


async def test_scope_and_priority_reach_all_four_requests(
    client: Client, server: ScriptedServer
) -> None:
    await client.inference.generate("Once", cache_scope="tenant", priority="high")
    await client.inference.chat([user("Hi")], cache_scope="tenant", priority="high")
    generating = client.inference.generate_stream(
        "Once", cache_scope="tenant", priority=Priority.PRIORITY_HIGH
    )
    async for _ in generating:
        pass
    chatting = client.inference.chat_stream([user("Hi")], cache_scope="tenant", priority="high")
    async for _ in chatting:
        pass
    asked = [(request.cache_scope, request.priority) for request in server.requests]
    assert asked == [("tenant", Priority.PRIORITY_HIGH)] * 4


async def test_without_scope_and_priority_none_is_sent(
    client: Client, server: ScriptedServer
) -> None:
    await client.inference.generate("Once", cache_scope=None, priority=None)
    (request,) = server.requests
    assert (request.cache_scope, request.priority) == ("", Priority.PRIORITY_UNSPECIFIED)


async def test_a_priority_that_does_not_exist_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="none of low, normal, high"):
        await client.inference.generate("Once", priority="urgent")  # type: ignore[arg-type]


async def test_an_option_that_does_not_exist_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="temprature"):
        await client.inference.generate("Once", temprature=1)  # type: ignore[call-arg]


async def test_chat_answer_can_be_appended(client: Client, server: ScriptedServer) -> None:
    messages = [system("Be brief."), user("Hi", name="Ann")]
    answer = await client.inference.chat(messages)
    messages += [answer.message, tool("42", call_id="c1", name="sum")]
    assert str(answer) == answer.text == "Hello you"
    assert [message.role for message in messages] == [
        Role.ROLE_SYSTEM,
        Role.ROLE_USER,
        Role.ROLE_ASSISTANT,
        Role.ROLE_TOOL,
    ]
    assert list(server.requests[0].messages) == messages[:2]
    assert messages[-1] == Message(role=Role.ROLE_TOOL, content="42", tool_call_id="c1", name="sum")


async def test_chat_sends_tools_and_thinking(client: Client, server: ScriptedServer) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    weather = define_tool("weather", "The weather now.", schema)
    await client.inference.chat([user("Hi")], tools=[weather], enable_thinking=False)
    await client.inference.chat([user("Hi")])
    with_tools, without = server.requests
    assert json.loads(with_tools.tools[0].parameters) == schema
    assert with_tools.HasField("enable_thinking") and not with_tools.enable_thinking
    assert not without.HasField("enable_thinking")


async def test_chat_stream_asks_as_chat_does(client: Client, server: ScriptedServer) -> None:
    async with client.inference.chat_stream([user("Hi")], temperature=0) as stream:
        assert [str(delta) async for delta in stream] == ["Hello", " you"]
    await client.inference.chat([user("Hi")], temperature=0)
    streamed, whole = server.requests
    assert streamed.SerializeToString() == whole.SerializeToString()
    assert stream.finished == FINISHED


async def test_tokenize_and_detokenize(client: Client, server: ScriptedServer) -> None:
    tokens = (await client.inference.tokenize("Hello", add_special=True)).tokens
    joined = await client.inference.detokenize([token.id for token in tokens])
    assert list(tokens) == TOKENS
    assert (joined.text, joined.raw) == ("Hello", b"Hello")
    assert server.requests[0].add_special
    assert list(server.requests[1].token_ids) == [11, 12]


async def test_count_tokens_of_a_text_and_of_a_conversation(
    client: Client, server: ScriptedServer
) -> None:
    assert (await client.inference.count_tokens("Hello")).tokens == 2
    await client.inference.count_tokens([user("Hi")], enable_thinking=True)
    text, conversation = server.requests
    assert text.prompt == "Hello"
    assert conversation.conversation.messages[0].content == "Hi"
    assert conversation.conversation.enable_thinking


async def test_server_info(client: Client) -> None:
    assert (await client.server.info()).version == "0.1.0"


async def test_load_is_asked_for_of_one_model_or_of_all(
    client: Client, server: ScriptedServer
) -> None:
    assert list(await client.server.get_load()) == LOADS
    assert list(await client.server.get_load("demo")) == LOADS
    assert [request.model for request in server.requests] == ["", "demo"]
