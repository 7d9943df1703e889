"""Corral under load, through its generated stubs: what any client of any language does."""

from typing import cast

import grpc

from bench.load.target import DEADLINE_S, Ask, Ending, Hear, Vectors
from corral.channel import channel_arguments
from corral.errors import Failure, QueueFull, parse
from corral.v1.embedding_pb2 import EMBEDDING_ENCODING_FLOAT32_LE, EmbedInput
from corral.v1.inference_pb2 import EmbedStreamRequest, Finished, GenerateStreamRequest
from corral.v1.inference_pb2_grpc import InferenceStub
from corral.v1.sampling_pb2 import SamplingParams
from corral.v1.usage_pb2 import FINISH_REASON_LENGTH, FinishReason

_GREEDY = SamplingParams(temperature=0)


class CorralTarget:
    """One channel for all calls, as a program has."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = grpc.aio.insecure_channel(address, channel_arguments(None))
        self._stub = InferenceStub(self._channel)

    async def answer(self, ask: Ask, hear: Hear) -> Ending:
        request = GenerateStreamRequest(
            max_tokens=ask.max_tokens, sampling=None if ask.sampled else _GREEDY
        )
        request.prompt_tokens.ids.extend(ask.prompt)
        request.stop.ignore_eos = True
        request.output.tokens = ask.keep
        ending = Ending(error="the stream ended early")
        tokens = 0
        try:
            async for message in self._stub.GenerateStream(request, timeout=DEADLINE_S):
                if message.HasField("delta"):
                    tokens = message.delta.completion_tokens
                    hear(tokens)
                    ending.tokens.extend(token.id for token in message.delta.tokens)
                elif message.HasField("finished"):
                    usage = message.finished.usage
                    if usage.completion_tokens > tokens:
                        hear(usage.completion_tokens)
                    ending.prompt_tokens = usage.prompt_tokens
                    ending.cached_tokens = usage.cached_tokens
                    ending.error = _fault(message.finished)
        except grpc.RpcError as failure:
            ending.error = ""
            error = parse(cast(Failure, failure), self._address)
            if isinstance(error, QueueFull):
                ending.refusal = error.reason
            else:
                ending.error = f"{error.code.name} {error.reason}: {error}"
        return ending

    async def embed(self, texts: list[str]) -> Vectors:
        request = EmbedStreamRequest(encoding=EMBEDDING_ENCODING_FLOAT32_LE)
        request.inputs.extend(EmbedInput(text=text) for text in texts)
        count = tokens = 0
        try:
            async for message in self._stub.EmbedStream(request, timeout=DEADLINE_S):
                count += sum(bool(vector.packed) for vector in message.embeddings)
                tokens += sum(vector.tokens for vector in message.embeddings)
        except grpc.RpcError as failure:
            return Vectors(count, tokens, str(parse(cast(Failure, failure), self._address)))
        return Vectors(count, tokens)

    async def close(self) -> None:
        await self._channel.close()


def _fault(finished: Finished) -> str:
    if finished.reason == FINISH_REASON_LENGTH:
        return ""
    return f"ended with {FinishReason.Name(finished.reason)}"
