"""The Inference service."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

from msgspec.structs import replace

from corral.v1 import chat_pb2
from corral.v1 import inference_pb2 as pb
from corral_server.config import Capability
from corral_server.errors import DuplicateRequestId, ModelNotFound, NoDefaultModel
from corral_server.models.registry import ModelRegistry
from corral_server.request import Delta, Event, Finished, GenerationRequest, SamplingParams, Started
from corral_server.rpc import convert, load_options, present
from corral_server.rpc.call import Call

AnyStreamResponse = TypeVar("AnyStreamResponse", pb.GenerateStreamResponse, pb.ChatStreamResponse)


class Inference:
    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._running: set[str] = set()

    async def Generate(self, request: pb.GenerateRequest, call: Call) -> pb.GenerateResponse:
        text, fields = await self._answer(
            request, convert.generation(request, self._defaults(request)), Capability.GENERATE, call
        )
        return pb.GenerateResponse(text=text, **fields)

    def GenerateStream(
        self, request: pb.GenerateStreamRequest, call: Call
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        generation = convert.generation(request, self._defaults(request))
        return self._stream(
            pb.GenerateStreamResponse, request, generation, Capability.GENERATE, call
        )

    async def Chat(self, request: pb.ChatRequest, call: Call) -> pb.ChatResponse:
        text, fields = await self._answer(
            request, convert.chat(request, self._defaults(request)), Capability.CHAT, call
        )
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text)
        return pb.ChatResponse(message=message, **fields)

    def ChatStream(
        self, request: pb.ChatStreamRequest, call: Call
    ) -> AsyncGenerator[pb.ChatStreamResponse, None]:
        generation = convert.chat(request, self._defaults(request))
        return self._stream(pb.ChatStreamResponse, request, generation, Capability.CHAT, call)

    async def Tokenize(self, request: pb.TokenizeRequest, call: Call) -> pb.TokenizeResponse:
        text = convert.text(request.text, "text")
        async with self._registry.lease(request.model) as lease:
            tokens = await lease.engine.tokenize(
                text, add_special=request.add_special, parse_special=request.parse_special
            )
        return pb.TokenizeResponse(model=lease.model_id, tokens=present.tokens(tokens))

    async def Detokenize(self, request: pb.DetokenizeRequest, call: Call) -> pb.DetokenizeResponse:
        token_ids = convert.token_ids(request)
        async with self._registry.lease(request.model) as lease:
            raw = await lease.engine.detokenize(token_ids, unparse_special=request.unparse_special)
        return pb.DetokenizeResponse(
            model=lease.model_id, text=raw.decode("utf-8", "replace"), raw=raw
        )

    async def CountTokens(
        self, request: pb.CountTokensRequest, call: Call
    ) -> pb.CountTokensResponse:
        prompt = convert.counted(request)
        async with self._registry.lease(request.model) as lease:
            count = await lease.engine.count_tokens(prompt)
        return pb.CountTokensResponse(
            model=lease.model_id, tokens=count, sequence_limit=lease.sequence_limit
        )

    async def Embed(self, request: pb.EmbedRequest, call: Call) -> pb.EmbedResponse:
        response = pb.EmbedResponse()
        async with aclosing(self._embeddings(request, call)) as parts:
            async for part in parts:
                response.MergeFrom(pb.EmbedResponse(**part))
        return response

    async def EmbedStream(
        self, request: pb.EmbedStreamRequest, call: Call
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        async with aclosing(self._embeddings(request, call)) as parts:
            async for part in parts:
                yield pb.EmbedStreamResponse(**part)

    async def _embeddings(
        self, request: convert.AnyEmbedRequest, call: Call
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The fields of each part of the answer: names first, usage last, each below 1 MiB."""
        request_id = call.notes["request_id"] = convert.request_id(request.request_id)
        asked = convert.embed(request)
        with self._named(request_id):
            async with self._registry.lease(request.model, Capability.EMBED) as lease:
                call.notes["model"] = lease.model_id
                yield {"request_id": request_id, "model": lease.model_id}
                vectors = lease.engine.embed(
                    asked.inputs, pooling=asked.pooling, normalize=asked.normalize
                )
                index = tokens = 0
                async with aclosing(vectors):
                    async for chunk in vectors:
                        for part in present.embeddings(chunk, first=index, packed=asked.packed):
                            yield {"embeddings": part}
                        index += len(chunk.token_counts)
                        tokens += sum(chunk.token_counts)
                call.notes["prompt_tokens"] = tokens
                yield {"usage": present.prompt_usage(tokens)}

    async def _answer(
        self,
        request: pb.GenerateRequest | pb.ChatRequest,
        generation: GenerationRequest,
        capability: Capability,
        call: Call,
    ) -> tuple[str, dict[str, Any]]:
        """The whole text, and the fields that both unary responses have."""
        texts: list[str] = []
        fields: dict[str, Any] = {"tokens": []}
        stream = self._stream(pb.GenerateStreamResponse, request, generation, capability, call)
        async with aclosing(stream) as responses:
            async for response in responses:
                match response.WhichOneof("event"):
                    case "started":
                        fields["request_id"] = response.started.request_id
                        fields["model"] = response.started.model
                        fields["sampling"] = response.started.sampling
                    case "delta":
                        texts.append(response.delta.text)
                        fields["tokens"] += response.delta.tokens
                    case "finished":
                        fields["finished"] = response.finished
        return "".join(texts), fields

    async def _stream(
        self,
        kind: type[AnyStreamResponse],
        request: convert.AnyGenerateRequest | convert.AnyChatRequest,
        generation: GenerationRequest,
        capability: Capability,
        call: Call,
    ) -> AsyncGenerator[AnyStreamResponse, None]:
        """The answer as it comes to be: one Started, Deltas, one Finished."""
        request_id = call.notes["request_id"] = convert.request_id(request.request_id)
        with self._named(request_id):
            async with self._registry.lease(request.model, capability) as lease:
                call.notes["model"] = lease.model_id
                # Now, and not before the lease: a model may have been loading for long.
                generation = replace(generation, time_left_s=call.time_left_s)
                opening = pb.Started(
                    request_id=request_id,
                    model=lease.model_id,
                    sampling=load_options.sampling_message(generation.sampling),
                )
                async with aclosing(lease.engine.generate(generation)) as events:
                    async for event in events:
                        _note(event, call)
                        response = kind()
                        _write(event, response, opening)
                        yield response

    def _defaults(
        self, request: convert.AnyGenerateRequest | convert.AnyChatRequest
    ) -> SamplingParams:
        """The sampling of fields that `request` leaves out: the model's. That there is no such
        model is told after what is wrong with the fields, by whoever takes the lease."""
        try:
            return self._registry.resolve(request.model).spec.options.default_sampling
        except (ModelNotFound, NoDefaultModel):
            return SamplingParams()

    @contextmanager
    def _named(self, request_id: str) -> Iterator[None]:
        """Holds the name of a request while it runs."""
        if request_id in self._running:
            raise DuplicateRequestId(
                f"a request named {request_id!r} is running", request_id=request_id
            )
        self._running.add(request_id)
        try:
            yield
        finally:
            self._running.remove(request_id)


def _write(
    event: Event, response: pb.GenerateStreamResponse | pb.ChatStreamResponse, opening: pb.Started
) -> None:
    match event:
        case Delta():
            present.delta(event, response.delta)
        case Started():
            response.started.CopyFrom(opening)
            present.started(event, response.started)
        case Finished():
            present.finished(event, response.finished)


def _note(event: Event, call: Call) -> None:
    """Counts for the log line."""
    match event:
        case Started():
            call.notes["prompt_tokens"] = event.prompt_tokens
        case Delta() | Finished():
            call.notes["completion_tokens"] = event.completion_tokens
