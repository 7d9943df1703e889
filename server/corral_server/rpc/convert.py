"""From messages to what we work with. All validation is here; below, nothing checks again."""

import re
import secrets
from typing import Any

from corral.v1 import chat_pb2, inference_pb2, model_manager_pb2, model_pb2, sampling_pb2
from corral_server.config import (
    Capability,
    DemoSource,
    LoadOptions,
    ModelSource,
    ModelSpec,
    PathSource,
)
from corral_server.request import (
    Conversation,
    GenerationRequest,
    Message,
    Prompt,
    SamplingParams,
    StopParams,
    TextPrompt,
    TokenPrompt,
    Tool,
    ToolCall,
)
from corral_server.rpc import limits
from corral_server.rpc.check import Checker

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

MODEL_ID_RULE = "must be 1 to 128 letters, digits and . _ - / :, beginning with a letter or digit"
_MUST_NAME = "must name a model"
_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
    chat_pb2.ROLE_TOOL: "tool",
}
_CAPABILITIES = {
    model_pb2.CAPABILITY_GENERATE: Capability.GENERATE,
    model_pb2.CAPABILITY_CHAT: Capability.CHAT,
}
_NO_PARAMETERS = '{"type": "object", "properties": {}}'

AnyGenerateRequest = inference_pb2.GenerateRequest | inference_pb2.GenerateStreamRequest
AnyChatRequest = inference_pb2.ChatRequest | inference_pb2.ChatStreamRequest


def model_spec(request: model_manager_pb2.LoadModelRequest) -> ModelSpec:
    """What LoadModel asks for. Raises InvalidFields."""
    check = Checker()
    check.require(MODEL_ID.fullmatch(request.id) is not None, "id", MODEL_ID_RULE)
    source = _source(request.source, check)
    options = LoadOptions(**check.numbers(request.options, limits.LOAD, "options."))
    check.require(
        options.batch_size >= options.slots,
        "options.batch_size",
        f"must be at least the number of slots, {options.slots}, not {options.batch_size}",
    )
    capabilities = _capabilities(request, check)
    check.close()
    return ModelSpec(id=request.id, source=source, options=options, capabilities=capabilities)


def _source(source: model_pb2.ModelSource, check: Checker) -> ModelSource:
    arm = source.WhichOneof("source")
    if arm == "path":
        path = source.path
        check.size(path, limits.MAX_PATH_BYTES, "source.path")
        check.require(path.startswith("/"), "source.path", "must be an absolute path")
        check.require(path.isprintable(), "source.path", "must not have control characters")
        return PathSource(path)
    check.require(arm is not None, "source", "must be set: path or demo")
    return DemoSource()


def _capabilities(
    request: model_manager_pb2.LoadModelRequest, check: Checker
) -> frozenset[Capability]:
    for value in request.capabilities:
        check.require(
            value in _CAPABILITIES, "capabilities", f"{value} is no capability known here"
        )
    asked = frozenset(
        _CAPABILITIES[value] for value in request.capabilities if value in _CAPABILITIES
    )
    return asked or frozenset(Capability)


def drain_timeout_s(request: model_manager_pb2.UnloadModelRequest, default_s: float) -> float:
    """How long UnloadModel lets calls go on. Raises InvalidFields."""
    check = Checker()
    check.require(request.id != "", "id", _MUST_NAME)
    timeout_s = default_s
    if request.HasField("drain_timeout"):
        timeout_s = request.drain_timeout.seconds + request.drain_timeout.nanos / 1e9
        check.number(timeout_s, limits.DRAIN_TIMEOUT_S, "drain_timeout")
    check.close()
    return timeout_s


def generation(request: AnyGenerateRequest) -> GenerationRequest:
    """What Generate and GenerateStream ask for. Raises InvalidFields."""
    check = Checker()
    converted = GenerationRequest(prompt=_prompt(request, check), **_common(request, check))
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


def chat(request: AnyChatRequest) -> GenerationRequest:
    """What Chat and ChatStream ask for. Raises InvalidFields."""
    check = Checker()
    converted = GenerationRequest(
        prompt=_conversation(request, "", check), **_common(request, check)
    )
    check.close()
    return converted


def _common(request: AnyGenerateRequest | AnyChatRequest, check: Checker) -> dict[str, Any]:
    length = len(request.request_id)
    check.require(
        length <= limits.MAX_REQUEST_ID,
        "request_id",
        f"must be at most {limits.MAX_REQUEST_ID} characters, has {length}",
    )
    check.require(request.request_id.isprintable(), "request_id", "must be printable")
    if request.HasField("max_tokens"):
        check.number(request.max_tokens, limits.MAX_TOKENS, "max_tokens")
    return {
        "sampling": _sampling(request.sampling, check),
        "stop": _stop(request.stop, check),
        "max_tokens": request.max_tokens if request.HasField("max_tokens") else None,
        "wants_tokens": request.output.tokens,
    }


def _sampling(message: sampling_pb2.SamplingParams, check: Checker) -> SamplingParams:
    values = check.numbers(message, limits.SAMPLING, "sampling.")
    check.count(message.logit_bias, limits.MAX_LOGIT_BIASES, "sampling.logit_bias")
    for token, bias in sorted(message.logit_bias.items()):
        check.number(bias, limits.LOGIT_BIAS, f"sampling.logit_bias[{token}]")
    return SamplingParams(
        **{"seed": secrets.randbits(32)} | values, logit_bias=dict(message.logit_bias)
    )


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


def named(value: str, field: str) -> str:
    """A name that must be given. Raises InvalidFields."""
    check = Checker()
    check.require(value != "", field, _MUST_NAME)
    check.close()
    return value
