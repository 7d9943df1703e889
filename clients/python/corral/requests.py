"""Builds the contract's requests from Python's values. Pure; the server checks the ranges.

Everything that may be left out is None where the server has a default of its own.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias, TypedDict, TypeVar, Unpack

from corral.source import parse_source
from corral.v1.chat_pb2 import Conversation, Message, Tool
from corral.v1.inference_pb2 import (
    ChatRequest,
    ChatStreamRequest,
    CountTokensRequest,
    DetokenizeRequest,
    GenerateRequest,
    GenerateStreamRequest,
    TokenizeRequest,
)
from corral.v1.model_manager_pb2 import LoadModelRequest, UnloadModelRequest
from corral.v1.model_pb2 import Capability, LoadOptions
from corral.v1.sampling_pb2 import SamplingParams, StopParams
from corral.v1.tokenization_pb2 import TokenIds

Prompt: TypeAlias = str | Sequence[int]  # a text, or tokens taken as they are
Source: TypeAlias = str | os.PathLike[str]  # a path or `demo`

AnyGenerate = TypeVar("AnyGenerate", GenerateRequest, GenerateStreamRequest)
AnyChat = TypeVar("AnyChat", ChatRequest, ChatStreamRequest)


class SamplingOptions(TypedDict, total=False):
    """How tokens are chosen. A zero means zero; None and leaving out mean the default."""

    temperature: float | None  # 0 takes the likeliest token always; default 0.8
    top_k: int | None  # keep the k likeliest; 0 keeps all; default 40
    top_p: float | None  # keep the likeliest that sum to p; 1 keeps all; default 0.95
    min_p: float | None  # drop those below this part of the likeliest; default 0.05
    repeat_penalty: float | None  # divides scores of tokens seen; 1 is off, the default
    repeat_last_n: int | None  # how many last tokens the penalties look at; default 64
    frequency_penalty: float | None  # subtracted for each time seen; default 0
    presence_penalty: float | None  # subtracted if seen; default 0
    seed: int | None  # default: a new one for each request; the answer says which
    logit_bias: Mapping[int, float] | None  # added to scores, by token id


class AnswerOptions(SamplingOptions, total=False):
    """What every call that produces text takes."""

    model: str | None  # default: the default model
    request_id: str | None  # the caller's name for this request; default: one is made
    max_tokens: int | None  # default: what the context still holds
    stop: str | Iterable[str] | None  # stop before the first of these texts
    stop_token_ids: Iterable[int]  # stop at one of these tokens
    include_stop: bool  # whether the matched text stays in the answer
    ignore_eos: bool  # whether the model's own end of answer is ignored
    tokens: bool  # whether the tokens come along, each with its bytes


class GenerateOptions(AnswerOptions, total=False):
    """What `generate` and `generate_stream` take."""

    parse_special: bool  # whether control tokens written in the prompt become control tokens


class ChatOptions(AnswerOptions, total=False):
    """What `chat` and `chat_stream` take."""

    tools: Iterable[Tool]  # the tools the model may call
    enable_thinking: bool | None  # for templates that know it; default: the template's own


class EngineOptions(TypedDict, total=False):
    """How a model is loaded; the contract's LoadOptions."""

    context_size: int | None  # tokens the KV cache holds, shared by all slots
    slots: int | None  # sequences computed at the same time; default 8
    batch_size: int | None  # tokens computed in one step at most; default 512
    threads: int | None  # processor threads; default: the physical cores
    max_waiting: int | None  # requests that may wait for a slot; default 256


class LoadModelOptions(EngineOptions, total=False):
    """What `load` and `load_events` take."""

    make_default: bool  # whether it also becomes the default model
    capabilities: Iterable[Capability]  # what it may be asked to do; default: GENERATE and CHAT


def load(
    id: str,
    source: Source,
    *,
    make_default: bool = False,
    capabilities: Iterable[Capability] = (),
    **options: Unpack[EngineOptions],
) -> LoadModelRequest:
    return LoadModelRequest(
        id=id,
        source=parse_source(source),
        options=LoadOptions(**options),
        capabilities=capabilities,
        make_default=make_default,
    )


def unload(id: str, *, drain_timeout: float | None, force: bool) -> UnloadModelRequest:
    wait = None if drain_timeout is None else timedelta(seconds=drain_timeout)
    return UnloadModelRequest(id=id, drain_timeout=wait, force=force)


def generate(
    kind: type[AnyGenerate],
    prompt: Prompt,
    *,
    parse_special: bool = False,
    **options: Unpack[AnswerOptions],
) -> AnyGenerate:
    request = kind(parse_special=parse_special)
    if isinstance(prompt, str):
        request.prompt = prompt
    else:
        request.prompt_tokens.CopyFrom(TokenIds(ids=prompt))
    _fill(request, **options)
    return request


def chat(
    kind: type[AnyChat],
    messages: Iterable[Message],
    *,
    tools: Iterable[Tool] = (),
    enable_thinking: bool | None = None,
    **options: Unpack[AnswerOptions],
) -> AnyChat:
    request = kind(messages=messages, tools=tools, enable_thinking=enable_thinking)
    _fill(request, **options)
    return request


def _fill(
    request: GenerateRequest | GenerateStreamRequest | ChatRequest | ChatStreamRequest,
    *,
    model: str | None = None,
    request_id: str | None = None,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    stop_token_ids: Iterable[int] = (),
    include_stop: bool = False,
    ignore_eos: bool = False,
    tokens: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> None:
    """Sets the fields that the four requests for text share."""
    request.model = model or ""
    request.request_id = request_id or ""
    if max_tokens is not None:
        request.max_tokens = max_tokens
    request.sampling.CopyFrom(SamplingParams(**sampling))
    request.stop.CopyFrom(
        StopParams(
            strings=[stop] if isinstance(stop, str) else stop,
            token_ids=stop_token_ids,
            include_stop=include_stop,
            ignore_eos=ignore_eos,
        )
    )
    request.output.tokens = tokens


def tokenize(
    text: str, *, model: str | None, add_special: bool, parse_special: bool
) -> TokenizeRequest:
    return TokenizeRequest(
        model=model or "", text=text, add_special=add_special, parse_special=parse_special
    )


def detokenize(
    token_ids: Iterable[int], *, model: str | None, unparse_special: bool
) -> DetokenizeRequest:
    return DetokenizeRequest(
        model=model or "", token_ids=token_ids, unparse_special=unparse_special
    )


def count_tokens(
    counted: str | Iterable[Message],
    *,
    model: str | None,
    tools: Iterable[Tool],
    enable_thinking: bool | None,
) -> CountTokensRequest:
    if isinstance(counted, str):
        return CountTokensRequest(model=model or "", prompt=counted)
    return CountTokensRequest(
        model=model or "",
        conversation=Conversation(messages=counted, tools=tools, enable_thinking=enable_thinking),
    )
