"""From what we work with to messages."""

from datetime import UTC, datetime
from typing import Any, assert_never

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from corral.v1 import (
    inference_pb2,
    model_manager_pb2,
    model_pb2,
    sampling_pb2,
    tokenization_pb2,
    usage_pb2,
)
from corral_server.config import Capability, DemoSource, LoadOptions, ModelSource, PathSource
from corral_server.ipc.messages import Loading, LoadStage
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.request import Delta, Finished, FinishReason, SamplingParams, Token
from corral_server.rpc import limits

_STATES = {
    ModelState.LOADING: model_pb2.MODEL_STATE_LOADING,
    ModelState.READY: model_pb2.MODEL_STATE_READY,
    ModelState.RESTARTING: model_pb2.MODEL_STATE_RESTARTING,
    ModelState.DRAINING: model_pb2.MODEL_STATE_DRAINING,
    ModelState.FAILED: model_pb2.MODEL_STATE_FAILED,
}
_STAGES = {
    LoadStage.PROBING: model_manager_pb2.LOAD_STAGE_PROBING,
    LoadStage.LOADING: model_manager_pb2.LOAD_STAGE_LOADING,
    LoadStage.WARMING: model_manager_pb2.LOAD_STAGE_WARMING,
}
_CAPABILITIES = {
    Capability.GENERATE: model_pb2.CAPABILITY_GENERATE,
    Capability.CHAT: model_pb2.CAPABILITY_CHAT,
}
_REASONS = {
    FinishReason.EOS: usage_pb2.FINISH_REASON_EOS,
    FinishReason.STOP_STRING: usage_pb2.FINISH_REASON_STOP_STRING,
    FinishReason.STOP_TOKEN: usage_pb2.FINISH_REASON_STOP_TOKEN,
    FinishReason.LENGTH: usage_pb2.FINISH_REASON_LENGTH,
    FinishReason.CONTEXT_LENGTH: usage_pb2.FINISH_REASON_CONTEXT_LENGTH,
}


def model(entry: ModelEntry, *, is_default: bool) -> model_pb2.Model:
    message = model_pb2.Model(
        id=entry.id,
        state=_STATES.get(entry.state, model_pb2.MODEL_STATE_UNSPECIFIED),
        is_default=is_default,
        source=_source(entry.spec.source),
        options=_options(entry.spec.options),
        capabilities=sorted(_CAPABILITIES[capability] for capability in entry.spec.capabilities),
        active_requests=entry.leases,
        restarts=entry.restarts,
    )
    if entry.error is not None:
        message.error.reason, message.error.message = entry.error.reason, entry.error.message
    if entry.model_facts is not None:
        message.facts.CopyFrom(_facts(entry))
    if entry.loaded_at is not None:
        message.loaded_at.CopyFrom(timestamp(entry.loaded_at))
    if entry.last_used_at is not None:
        message.last_used_at.CopyFrom(timestamp(entry.last_used_at))
    return message


def _source(source: ModelSource) -> model_pb2.ModelSource:
    match source:
        case PathSource():
            return model_pb2.ModelSource(path=source.path)
        case DemoSource():
            return model_pb2.ModelSource(demo=model_pb2.DemoSource())
        case _:
            assert_never(source)


def _options(options: LoadOptions) -> model_pb2.LoadOptions:
    """Every option that is decided; what the engine decides shows in the facts."""
    values = {name: getattr(options, name) for name in limits.LOAD}
    return model_pb2.LoadOptions(
        **{name: value for name, value in values.items() if value is not None}
    )


def _facts(entry: ModelEntry) -> model_pb2.ModelFacts:
    """What the file says and, once there is one, what the engine says."""
    known: dict[str, Any] = {}
    for facts in (entry.model_facts, entry.engine_facts):
        if facts is not None:
            known |= {name: getattr(facts, name) for name in facts.__struct_fields__}
    return model_pb2.ModelFacts(**known)


def load_progress(progress: Loading) -> model_manager_pb2.LoadModelResponse:
    return model_manager_pb2.LoadModelResponse(
        progress=model_manager_pb2.LoadProgress(
            stage=_STAGES[progress.stage], fraction=progress.fraction
        )
    )


def sampling(params: SamplingParams) -> sampling_pb2.SamplingParams:
    """With every field set."""
    return sampling_pb2.SamplingParams(
        **{name: getattr(params, name) for name in params.__struct_fields__}
    )


def tokens(tokens: tuple[Token, ...]) -> list[tokenization_pb2.Token]:
    return [tokenization_pb2.Token(id=token.id, piece=token.piece) for token in tokens]


def delta(event: Delta) -> inference_pb2.Delta:
    return inference_pb2.Delta(
        text=event.text, completion_tokens=event.completion_tokens, tokens=tokens(event.tokens)
    )


def finished(event: Finished) -> inference_pb2.Finished:
    message = inference_pb2.Finished(
        reason=_REASONS[event.reason], usage=_usage(event), timings=_timings(event)
    )
    if event.stop_string is not None:
        message.stop_string = event.stop_string
    elif event.stop_token is not None:
        message.stop_token = event.stop_token
    return message


def _usage(event: Finished) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cached_tokens=event.cached_tokens,
        total_tokens=event.prompt_tokens + event.completion_tokens,
    )


def _timings(event: Finished) -> usage_pb2.Timings:
    timings = event.timings
    first_token_s = timings.queue_s + timings.prefill_s
    return usage_pb2.Timings(
        queue=_duration(timings.queue_s),
        prefill=_duration(timings.prefill_s),
        decode=_duration(timings.decode_s),
        total=_duration(first_token_s + timings.decode_s),
        time_to_first_token=_duration(first_token_s),
        prefill_tokens_per_second=_rate(
            event.prompt_tokens - event.cached_tokens, timings.prefill_s
        ),
        decode_tokens_per_second=_rate(event.completion_tokens - 1, timings.decode_s),
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def timestamp(at: float) -> Timestamp:
    """`at` in seconds since 1970."""
    message = Timestamp()
    message.FromDatetime(datetime.fromtimestamp(at, UTC))
    return message
