"""What Inference answers, from what we work with to messages."""

import struct
from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration

from corral.v1 import (
    embedding_pb2,
    inference_pb2,
    tokenization_pb2,
    usage_pb2,
)
from corral_server.ipc.messages import Embedded
from corral_server.request import Delta, Finished, FinishReason, Started, Token

_FLOAT_BYTES = 4
_PART_BYTES = 1024 * 1024
_EMBEDDING_OVERHEAD = 32
_REASONS = {
    FinishReason.EOS: usage_pb2.FINISH_REASON_EOS,
    FinishReason.STOP_STRING: usage_pb2.FINISH_REASON_STOP_STRING,
    FinishReason.STOP_TOKEN: usage_pb2.FINISH_REASON_STOP_TOKEN,
    FinishReason.LENGTH: usage_pb2.FINISH_REASON_LENGTH,
    FinishReason.CONTEXT_LENGTH: usage_pb2.FINISH_REASON_CONTEXT_LENGTH,
}


def tokens(tokens: tuple[Token, ...]) -> list[tokenization_pb2.Token]:
    return [tokenization_pb2.Token(id=token.id, piece=token.piece) for token in tokens]


def started(event: Started, message: inference_pb2.Started) -> None:
    """Writes what the engine says of a request that it has accepted into `message`."""
    message.prompt_tokens = event.prompt_tokens
    message.queue_position = event.queue_position
    if event.estimated_wait_s is not None:
        message.estimated_wait.CopyFrom(duration(event.estimated_wait_s))


def delta(event: Delta, message: inference_pb2.Delta) -> None:
    """Writes `event` into `message`: for every token there is, so nothing is copied."""
    message.text = event.text
    message.completion_tokens = event.completion_tokens
    if event.tokens:
        message.tokens.extend(tokens(event.tokens))


def finished(event: Finished, message: inference_pb2.Finished) -> None:
    """Writes `event` into `message`."""
    message.reason = _REASONS[event.reason]
    message.usage.CopyFrom(_usage(event))
    message.timings.CopyFrom(_timings(event))
    if event.stop_string is not None:
        message.stop_string = event.stop_string
    elif event.stop_token is not None:
        message.stop_token = event.stop_token


def _usage(event: Finished) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cached_tokens=event.cached_tokens,
        total_tokens=event.prompt_tokens + event.completion_tokens,
    )


def prompt_usage(tokens: int) -> usage_pb2.Usage:
    """What a call that writes no answer cost."""
    return usage_pb2.Usage(prompt_tokens=tokens, total_tokens=tokens)


def embeddings(
    chunk: Embedded, *, first: int, packed: bool
) -> Iterator[list[embedding_pb2.Embedding]]:
    """The vectors of `chunk`, the first of which is of input `first`, in parts below 1 MiB."""
    width = chunk.size * _FLOAT_BYTES
    per_part = max(_PART_BYTES // (width + _EMBEDDING_OVERHEAD), 1)
    rows = [
        _embedding(first + row, chunk.vectors[row * width : (row + 1) * width], tokens, packed)
        for row, tokens in enumerate(chunk.token_counts)
    ]
    for start in range(0, len(rows), per_part):
        yield rows[start : start + per_part]


def _embedding(index: int, vector: bytes, tokens: int, packed: bool) -> embedding_pb2.Embedding:
    if packed:
        return embedding_pb2.Embedding(index=index, packed=vector, tokens=tokens)
    values = struct.unpack(f"<{len(vector) // _FLOAT_BYTES}f", vector)
    return embedding_pb2.Embedding(index=index, values=values, tokens=tokens)


def _timings(event: Finished) -> usage_pb2.Timings:
    timings = event.timings
    first_token_s = timings.queue_s + timings.prefill_s
    return usage_pb2.Timings(
        queue=duration(timings.queue_s),
        prefill=duration(timings.prefill_s),
        decode=duration(timings.decode_s),
        total=duration(first_token_s + timings.decode_s),
        time_to_first_token=duration(first_token_s),
        prefill_tokens_per_second=_rate(
            event.prompt_tokens - event.cached_tokens, timings.prefill_s
        ),
        decode_tokens_per_second=_rate(event.completion_tokens - 1, timings.decode_s),
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
