"""Builds the contract's requests from Python's values. Pure; the server checks the ranges.

Everything that may be left out is None where the server has a default of its own.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Required, TypeAlias, TypedDict, TypeVar, Unpack

from corral.source import Source, parse_hub_source, parse_source
from corral.v1.chat_pb2 import Conversation, Message, Tool
from corral.v1.embedding_pb2 import EmbeddingEncoding, EmbedInput
from corral.v1.inference_pb2 import (
    ChatRequest,
    ChatStreamRequest,
    CountTokensRequest,
    DetokenizeRequest,
    EmbedRequest,
    EmbedStreamRequest,
    GenerateRequest,
    GenerateStreamRequest,
    Priority,
    TokenizeRequest,
)
from corral.v1.model_manager_pb2 import (
    LoadModelRequest,
    PredictMemoryRequest,
    PullModelRequest,
    UnloadModelRequest,
    WatchModelsRequest,
    WatchModelsResponse,
)
from corral.v1.model_pb2 import (
    CacheType,
    Capability,
    FlashAttention,
    HubSource,
    LoadOptions,
    LoraAdapter,
    Mode,
    Pooling,
    RopeScaling,
    RopeScalingType,
    SplitMode,
)
from corral.v1.sampling_pb2 import SamplingParams, StopParams
from corral.v1.tokenization_pb2 import TokenIds
from corral.words import (
    CacheTypeWord,
    CapabilityWord,
    FlashAttentionWord,
    ModeWord,
    PoolingWord,
    PriorityWord,
    RopeScalingWord,
    SplitModeWord,
    all_named,
    named,
)

Prompt: TypeAlias = str | Sequence[int]  # a text, or tokens taken as they are

AnyGenerate = TypeVar("AnyGenerate", GenerateRequest, GenerateStreamRequest)
AnyChat = TypeVar("AnyChat", ChatRequest, ChatStreamRequest)
AnyAnswer = TypeVar(
    "AnyAnswer", GenerateRequest, GenerateStreamRequest, ChatRequest, ChatStreamRequest
)
AnyEmbed = TypeVar("AnyEmbed", EmbedRequest, EmbedStreamRequest)


class SamplingOptions(TypedDict, total=False):
    """How tokens are chosen. A zero means zero; None and leaving out mean the default."""

    temperature: float | None  # 0 takes the likeliest token always; default 0.8
    top_k: int | None  # keep the k likeliest; 0 keeps all; default 40
    top_p: float | None  # keep the likeliest that sum to p; 1 keeps all; default 0.95
    min_p: float | None  # drop those below this part of the likeliest; default 0.1
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
    cache_scope: str | None  # who shares what is computed for the prompt; default: all without one
    priority: Priority | PriorityWord | None  # which waiting requests go first; default normal


class GenerateOptions(AnswerOptions, total=False):
    """What `generate` and `generate_stream` take."""

    parse_special: bool  # whether control tokens written in the prompt become control tokens


class ChatOptions(AnswerOptions, total=False):
    """What `chat` and `chat_stream` take."""

    tools: Iterable[Tool]  # the tools the model may call
    enable_thinking: bool | None  # for templates that know it; default: the template's own


class EmbedOptions(TypedDict, total=False):
    """What `embed` and `embed_stream` take."""

    model: str | None  # default: the default model
    request_id: str | None  # the caller's name for this request; default: one is made
    pooling: Pooling | PoolingWord | None  # default: as the model was loaded
    normalize: bool | None  # whether vectors are scaled to length 1; default: they are
    packed: bool  # whether vectors travel as bytes, which is far faster; default: they do


class RopeOptions(TypedDict, total=False):
    """How positions are scaled to reach beyond the trained context; default: as the file says."""

    type: RopeScalingType | RopeScalingWord | None
    freq_base: float | None  # base frequency
    freq_scale: float | None  # factor on frequencies
    yarn_original_context: int | None  # YaRN: the context the model was trained with, tokens


class LoraOptions(TypedDict, total=False):
    """A LoRA adapter applied to a model's weights."""

    path: Required[str | os.PathLike[str]]  # its GGUF file on the server's machine
    scale: float | None  # how strongly; default 1


class PlainEngineOptions(TypedDict, total=False):
    """The fields of LoadOptions that are taken as they are."""

    context_size: int | None  # tokens the KV cache holds, shared by all slots
    slots: int | None  # sequences computed at the same time; default 8
    batch_size: int | None  # tokens computed in one step at most; default 512
    ubatch_size: int | None  # tokens computed in one graph at most; default: the batch size
    threads: int | None  # processor threads; default: the physical cores
    max_waiting: int | None  # requests that may wait for a slot; default 256
    gpu_layers: int | None  # layers computed on GPUs; -1, the default, means all
    devices: Iterable[str]  # GPUs to use, as `memory` names them; default: all there are
    tensor_split: Iterable[float]  # part on each GPU, in any unit; default: by free memory
    main_gpu: int | None  # the GPU used where split_mode is none; default 0
    use_mmap: bool | None  # whether the file is mapped instead of read; default: it is
    use_mlock: bool | None  # whether the weights are kept from being swapped out
    chat_template: str | None  # Jinja template used instead of the file's
    prefix_cache: bool | None  # whether computed prompts are kept for later ones; default: they are
    host_cache_bytes: float | None  # memory for what leaves the KV cache; default: by the model


class EngineOptions(PlainEngineOptions, total=False):
    """How a model is loaded; the contract's LoadOptions."""

    cache_type_k: CacheType | CacheTypeWord | None  # keys in the KV cache; default f16
    cache_type_v: CacheType | CacheTypeWord | None  # values; quantized needs flash attention
    flash_attention: FlashAttention | FlashAttentionWord | None  # default auto
    split_mode: SplitMode | SplitModeWord | None  # how it lies over several GPUs; default layer
    pooling: Pooling | PoolingWord | None  # default: the model's own, or mean
    rope: RopeScaling | RopeOptions | None  # default: as the file says
    lora: Iterable[LoraAdapter | LoraOptions]  # adapters applied to the weights
    default_sampling: SamplingParams | SamplingOptions | None  # where a request leaves one out
    step_target: float | None  # seconds one step should take while answers run; default 0.1


class ServingOptions(EngineOptions, total=False):
    """What `predict_memory` takes: all that decides what a model needs."""

    mode: Mode | ModeWord | None  # default: direct where embed is asked for, else server
    capabilities: Iterable[Capability | CapabilityWord]  # default: generate and chat


class LoadModelOptions(ServingOptions, total=False):
    """What `load` and `load_events` take."""

    make_default: bool  # whether it also becomes the default model
    aliases: Iterable[str]  # other names calls may use for it
    keep_alive: float | None  # seconds it may be idle before it is unloaded; default: for ever
    pinned: bool  # whether it is never evicted
    evict_idle: bool  # whether idle models may be unloaded to make room for it


def load(
    id: str,
    source: Source,
    *,
    make_default: bool = False,
    aliases: Iterable[str] = (),
    keep_alive: float | None = None,
    pinned: bool = False,
    evict_idle: bool = False,
    mode: Mode | ModeWord | None = None,
    capabilities: Iterable[Capability | CapabilityWord] = (),
    **options: Unpack[EngineOptions],
) -> LoadModelRequest:
    return LoadModelRequest(
        id=id,
        source=parse_source(source),
        options=_load_options(**options),
        capabilities=all_named(Capability, capabilities),
        make_default=make_default,
        mode=named(Mode, mode),
        aliases=aliases,
        keep_alive=_duration(keep_alive),
        pinned=pinned,
        evict_idle=evict_idle,
    )


def predict_memory(
    source: Source,
    *,
    mode: Mode | ModeWord | None = None,
    capabilities: Iterable[Capability | CapabilityWord] = (),
    **options: Unpack[EngineOptions],
) -> PredictMemoryRequest:
    return PredictMemoryRequest(
        source=parse_source(source),
        options=_load_options(**options),
        mode=named(Mode, mode),
        capabilities=all_named(Capability, capabilities),
    )


def _load_options(
    *,
    cache_type_k: CacheType | CacheTypeWord | None = None,
    cache_type_v: CacheType | CacheTypeWord | None = None,
    flash_attention: FlashAttention | FlashAttentionWord | None = None,
    split_mode: SplitMode | SplitModeWord | None = None,
    pooling: Pooling | PoolingWord | None = None,
    rope: RopeScaling | RopeOptions | None = None,
    lora: Iterable[LoraAdapter | LoraOptions] = (),
    default_sampling: SamplingParams | SamplingOptions | None = None,
    step_target: float | None = None,
    **plain: Unpack[PlainEngineOptions],
) -> LoadOptions:
    return LoadOptions(
        cache_type_k=named(CacheType, cache_type_k),
        cache_type_v=named(CacheType, cache_type_v),
        flash_attention=named(FlashAttention, flash_attention),
        split_mode=named(SplitMode, split_mode),
        pooling=named(Pooling, pooling),
        rope=_rope(**rope) if isinstance(rope, dict) else rope,
        lora=[_lora(**each) if isinstance(each, dict) else each for each in lora],
        default_sampling=(
            SamplingParams(**default_sampling)
            if isinstance(default_sampling, dict)
            else default_sampling
        ),
        step_target=_duration(step_target),
        **plain,
    )


def _rope(
    *,
    type: RopeScalingType | RopeScalingWord | None = None,
    freq_base: float | None = None,
    freq_scale: float | None = None,
    yarn_original_context: int | None = None,
) -> RopeScaling:
    return RopeScaling(
        type=named(RopeScalingType, type),
        freq_base=freq_base,
        freq_scale=freq_scale,
        yarn_original_context=yarn_original_context,
    )


def _lora(*, path: str | os.PathLike[str], scale: float | None = None) -> LoraAdapter:
    return LoraAdapter(path=os.path.abspath(path), scale=scale)


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def pull(source: str | HubSource) -> PullModelRequest:
    return PullModelRequest(source=parse_hub_source(source) if isinstance(source, str) else source)


def watch(after: WatchModelsResponse | None) -> WatchModelsRequest:
    if after is None:
        return WatchModelsRequest()
    return WatchModelsRequest(after_sequence=after.sequence, instance_id=after.instance_id)


def unload(id: str, *, drain_timeout: float | None, force: bool) -> UnloadModelRequest:
    return UnloadModelRequest(id=id, drain_timeout=_duration(drain_timeout), force=force)


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
    request: AnyAnswer,
    *,
    model: str | None = None,
    request_id: str | None = None,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    stop_token_ids: Iterable[int] = (),
    include_stop: bool = False,
    ignore_eos: bool = False,
    tokens: bool = False,
    cache_scope: str | None = None,
    priority: Priority | PriorityWord | None = None,
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
    request.cache_scope = cache_scope or ""
    request.MergeFrom(type(request)(priority=named(Priority, priority)))


def embed(
    kind: type[AnyEmbed],
    inputs: str | Iterable[Prompt],
    *,
    model: str | None = None,
    request_id: str | None = None,
    pooling: Pooling | PoolingWord | None = None,
    normalize: bool | None = None,
    packed: bool = True,
) -> AnyEmbed:
    return kind(
        model=model or "",
        request_id=request_id or "",
        inputs=map(_embed_input, [inputs] if isinstance(inputs, str) else inputs),
        pooling=named(Pooling, pooling),
        normalize=normalize,
        encoding=(
            EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT32_LE
            if packed
            else EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT
        ),
    )


def _embed_input(given: Prompt) -> EmbedInput:
    if isinstance(given, str):
        return EmbedInput(text=given)
    return EmbedInput(tokens=TokenIds(ids=given))


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
