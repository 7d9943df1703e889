"""What Inference is asked, from messages to what we work with. All is checked at this edge; below,
nothing is checked again."""

import re
import secrets
from typing import Any, NamedTuple

import msgspec

from corral.v1 import chat_pb2, embedding_pb2, inference_pb2, sampling_pb2
from corral_server.config import Pooling
from corral_server.request import (
    Conversation,
    GenerationRequest,
    Message,
    Priority,
    Prompt,
    SamplingParams,
    StopParams,
    TextPrompt,
    TokenPrompt,
    Tool,
    ToolCall,
)
from corral_server.rpc import limits, load_options
from corral_server.rpc.check import Checker

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
    chat_pb2.ROLE_TOOL: "tool",
}
_PRIORITIES = {
    inference_pb2.PRIORITY_LOW: Priority.LOW,
    inference_pb2.PRIORITY_NORMAL: Priority.NORMAL,
    inference_pb2.PRIORITY_HIGH: Priority.HIGH,
}
# Whether vectors travel packed.
_ENCODINGS = {
    embedding_pb2.EMBEDDING_ENCODING_FLOAT: False,
    embedding_pb2.EMBEDDING_ENCODING_FLOAT32_LE: True,
}
_NO_PARAMETERS = '{"type": "object", "properties": {}}'

AnyGenerateRequest = inference_pb2.GenerateRequest | inference_pb2.GenerateStreamRequest
AnyEmbedRequest = inference_pb2.EmbedRequest | inference_pb2.EmbedStreamRequest
AnyChatRequest = inference_pb2.ChatRequest | inference_pb2.ChatStreamRequest


def generation(request: AnyGenerateRequest, defaults: SamplingParams) -> GenerationRequest:
    """What Generate and GenerateStream ask for, over the model's `defaults`. Raises
    InvalidFields."""
    check = Checker()
    converted = GenerationRequest(
        prompt=_prompt(request, check), **_common(request, defaults, check)
    )
    check.close()
    return converted


def _prompt(request: AnyGenerateRequest, check: Checker) -> Prompt:
    if request.WhichOneof("input") == "prompt_tokens":
        check.require(len(request.prompt_tokens.ids) > 0, "prompt_tokens", "must not be empty")
        check.count(request.prompt_tokens.ids, limits.MAX_TOKEN_IDS, "prompt_tokens.ids")
        return TokenPrompt(tuple(request.prompt_tokens.ids))
    check.require(request.prompt != "", "prompt", "must not be empty")
    check.size(request.prompt, limits.MAX_TEXT_BYTES, "prompt")
    return TextPrompt(text=request.prompt, parse_special=request.parse_special)


def chat(request: AnyChatRequest, defaults: SamplingParams) -> GenerationRequest:
    """What Chat and ChatStream ask for, over the model's `defaults`. Raises InvalidFields."""
    check = Checker()
    converted = GenerationRequest(
        prompt=_conversation(request, "", check), **_common(request, defaults, check)
    )
    check.close()
    return converted


def _common(
    request: AnyGenerateRequest | AnyChatRequest, defaults: SamplingParams, check: Checker
) -> dict[str, Any]:
    check.label(request.request_id, limits.MAX_REQUEST_ID, "request_id")
    check.label(request.cache_scope, limits.MAX_CACHE_SCOPE, "cache_scope")
    priority = check.choice(request.priority, _PRIORITIES, "priority")
    if request.HasField("max_tokens"):
        check.number(request.max_tokens, limits.MAX_TOKENS, "max_tokens")
    return {
        "sampling": _sampling(request.sampling, defaults, check),
        "stop": _stop(request.stop, check),
        "max_tokens": request.max_tokens if request.HasField("max_tokens") else None,
        "wants_tokens": request.output.tokens,
        "cache_scope": request.cache_scope,
        "priority": _PRIORITIES.get(priority, Priority.NORMAL),
    }


def _sampling(
    message: sampling_pb2.SamplingParams, defaults: SamplingParams, check: Checker
) -> SamplingParams:
    """With a seed of its own for every request, unless it or the model names one."""
    sampling = load_options.sampling(message, "sampling.", check, defaults)
    if message.HasField("seed") or defaults.seed:
        return sampling
    return msgspec.structs.replace(sampling, seed=secrets.randbits(32))


def _stop(message: sampling_pb2.StopParams, check: Checker) -> StopParams:
    check.count(message.strings, limits.MAX_STOP_STRINGS, "stop.strings")
    check.count(message.token_ids, limits.MAX_STOP_TOKENS, "stop.token_ids")
    for index, text in enumerate(message.strings[: limits.MAX_STOP_STRINGS]):
        check.require(text != "", f"stop.strings[{index}]", "must not be empty")
        check.size(text, limits.MAX_STOP_BYTES, f"stop.strings[{index}]")
    return StopParams(
        strings=tuple(message.strings),
        token_ids=tuple(message.token_ids),
        include_stop=message.include_stop,
        ignore_eos=message.ignore_eos,
    )


def _conversation(
    request: AnyChatRequest | chat_pb2.Conversation, prefix: str, check: Checker
) -> Conversation:
    check.require(len(request.messages) > 0, f"{prefix}messages", "must not be empty")
    check.count(request.messages, limits.MAX_MESSAGES, f"{prefix}messages")
    check.count(request.tools, limits.MAX_TOOLS, f"{prefix}tools")
    return Conversation(
        messages=tuple(
            _message(message, f"{prefix}messages[{index}].", check)
            for index, message in enumerate(request.messages[: limits.MAX_MESSAGES])
        ),
        tools=tuple(
            _tool(tool, f"{prefix}tools[{index}].", check)
            for index, tool in enumerate(request.tools[: limits.MAX_TOOLS])
        ),
        enable_thinking=request.enable_thinking if request.HasField("enable_thinking") else None,
    )


def _message(message: chat_pb2.Message, prefix: str, check: Checker) -> Message:
    role = _ROLES.get(message.role, "")
    check.require(role != "", f"{prefix}role", f"{message.role} is no role known here")
    check.size(message.content, limits.MAX_TEXT_BYTES, f"{prefix}content")
    check.size(message.reasoning, limits.MAX_TEXT_BYTES, f"{prefix}reasoning")
    check.size(message.name, limits.MAX_NAME_BYTES, f"{prefix}name")
    check.size(message.tool_call_id, limits.MAX_NAME_BYTES, f"{prefix}tool_call_id")
    check.count(message.tool_calls, limits.MAX_TOOL_CALLS, f"{prefix}tool_calls")
    if role != "assistant":
        check.require(
            not message.tool_calls, f"{prefix}tool_calls", "only an assistant calls tools"
        )
        check.require(
            not message.reasoning, f"{prefix}reasoning", "only an assistant has reasoning"
        )
    return Message(
        role=role,
        content=message.content,
        reasoning=message.reasoning,
        tool_calls=tuple(
            _tool_call(call, f"{prefix}tool_calls[{number}].", check)
            for number, call in enumerate(message.tool_calls[: limits.MAX_TOOL_CALLS])
        ),
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def _tool_call(call: chat_pb2.ToolCall, prefix: str, check: Checker) -> ToolCall:
    check.size(call.id, limits.MAX_NAME_BYTES, f"{prefix}id")
    _check_tool_name(call.name, prefix, check)
    arguments = call.arguments or "{}"
    check.size(arguments, limits.MAX_SCHEMA_BYTES, f"{prefix}arguments")
    check.json(arguments, dict, f"{prefix}arguments")
    return ToolCall(call.id, call.name, arguments)


def _tool(tool: chat_pb2.Tool, prefix: str, check: Checker) -> Tool:
    _check_tool_name(tool.name, prefix, check)
    check.size(tool.description, limits.MAX_DESCRIPTION_BYTES, f"{prefix}description")
    parameters = tool.parameters or _NO_PARAMETERS
    check.size(parameters, limits.MAX_SCHEMA_BYTES, f"{prefix}parameters")
    check.json(parameters, dict, f"{prefix}parameters")
    return Tool(tool.name, tool.description, parameters)


def _check_tool_name(name: str, prefix: str, check: Checker) -> None:
    good = TOOL_NAME.fullmatch(name) is not None
    check.require(good, f"{prefix}name", "must be 1 to 64 letters, digits, _ and -")


def request_id(given: str) -> str:
    """The caller's name for a request, which is checked with the rest of it, or a new one."""
    return given or secrets.token_hex(8)


def text(value: str, field: str) -> str:
    """A text within bounds. Raises InvalidFields."""
    check = Checker()
    check.size(value, limits.MAX_TEXT_BYTES, field)
    check.close()
    return value


def token_ids(request: inference_pb2.DetokenizeRequest) -> tuple[int, ...]:
    """What Detokenize joins. Raises InvalidFields."""
    check = Checker()
    check.count(request.token_ids, limits.MAX_TOKEN_IDS, "token_ids")
    check.close()
    return tuple(request.token_ids)


def counted(request: inference_pb2.CountTokensRequest) -> Prompt:
    """What CountTokens counts. Raises InvalidFields."""
    check = Checker()
    arm = request.WhichOneof("input")
    check.require(arm is not None, "input", "must be set: prompt or conversation")
    prompt: Prompt = TextPrompt(text=request.prompt)
    if arm == "conversation":
        prompt = _conversation(request.conversation, "conversation.", check)
    else:
        check.size(request.prompt, limits.MAX_TEXT_BYTES, "prompt")
    check.close()
    return prompt


class EmbedCall(NamedTuple):
    """What Embed and EmbedStream ask for. `pooling` None means the model's own."""

    inputs: tuple[TextPrompt | TokenPrompt, ...]
    pooling: Pooling | None
    normalize: bool
    packed: bool


def embed(request: AnyEmbedRequest) -> EmbedCall:
    """What is to be embedded. Raises InvalidFields."""
    check = Checker()
    check.label(request.request_id, limits.MAX_REQUEST_ID, "request_id")
    check.require(len(request.inputs) > 0, "inputs", "must not be empty")
    check.count(request.inputs, limits.MAX_EMBED_INPUTS, "inputs")
    pooling = check.choice(request.pooling, load_options.POOLINGS, "pooling")
    encoding = check.choice(request.encoding, _ENCODINGS, "encoding")
    inputs = tuple(
        _embed_input(message, f"inputs[{index}]", check)
        for index, message in enumerate(request.inputs[: limits.MAX_EMBED_INPUTS])
    )
    check.close()
    return EmbedCall(
        inputs=inputs,
        pooling=load_options.POOLINGS[pooling] if pooling else None,
        normalize=request.normalize if request.HasField("normalize") else True,
        packed=_ENCODINGS.get(encoding, False),
    )


def _embed_input(
    message: embedding_pb2.EmbedInput, field: str, check: Checker
) -> TextPrompt | TokenPrompt:
    if message.WhichOneof("input") == "tokens":
        check.require(len(message.tokens.ids) > 0, f"{field}.tokens", "must not be empty")
        check.count(message.tokens.ids, limits.MAX_TOKEN_IDS, f"{field}.tokens.ids")
        return TokenPrompt(tuple(message.tokens.ids))
    check.require(message.text != "", f"{field}.text", "must not be empty")
    check.size(message.text, limits.MAX_TEXT_BYTES, f"{field}.text")
    return TextPrompt(text=message.text)
