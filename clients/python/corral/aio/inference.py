"""Asking models, awaited."""

from collections.abc import Iterable
from typing import Unpack

import grpc

from corral import requests
from corral.aio.stream import AnswerStream, EmbeddingStream
from corral.answers import ChatAnswer, GenerateAnswer
from corral.embeddings import Embeddings
from corral.errors import translated
from corral.requests import ChatOptions, EmbedOptions, GenerateOptions, Prompt
from corral.v1.chat_pb2 import Message, Tool
from corral.v1.inference_pb2 import (
    ChatRequest,
    ChatStreamRequest,
    ChatStreamResponse,
    CountTokensResponse,
    DetokenizeResponse,
    EmbedRequest,
    EmbedStreamRequest,
    GenerateRequest,
    GenerateStreamRequest,
    GenerateStreamResponse,
    TokenizeResponse,
)
from corral.v1.inference_pb2_grpc import InferenceStub


class Inference:
    """Methods, arguments and errors are those of corral.sync.inference.Inference."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub = InferenceStub(channel)
        self._address = address

    async def generate(
        self, prompt: Prompt, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> GenerateAnswer:
        request = requests.generate(GenerateRequest, prompt, **options)
        with translated(self._address):
            return GenerateAnswer(await self._stub.Generate(request, timeout=timeout))

    def generate_stream(
        self, prompt: Prompt, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> AnswerStream[GenerateStreamResponse]:
        request = requests.generate(GenerateStreamRequest, prompt, **options)
        return AnswerStream(self._stub.GenerateStream(request, timeout=timeout), self._address)

    async def chat(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatAnswer:
        request = requests.chat(ChatRequest, messages, **options)
        with translated(self._address):
            return ChatAnswer(await self._stub.Chat(request, timeout=timeout))

    def chat_stream(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
        **options: Unpack[ChatOptions],
    ) -> AnswerStream[ChatStreamResponse]:
        request = requests.chat(ChatStreamRequest, messages, **options)
        return AnswerStream(self._stub.ChatStream(request, timeout=timeout), self._address)

    async def embed(
        self,
        inputs: str | Iterable[Prompt],
        *,
        timeout: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Embeddings:
        request = requests.embed(EmbedRequest, inputs, **options)
        with translated(self._address):
            return Embeddings(await self._stub.Embed(request, timeout=timeout))

    def embed_stream(
        self,
        inputs: str | Iterable[Prompt],
        *,
        timeout: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> EmbeddingStream:
        request = requests.embed(EmbedStreamRequest, inputs, **options)
        return EmbeddingStream(self._stub.EmbedStream(request, timeout=timeout), self._address)

    async def tokenize(
        self,
        text: str,
        *,
        model: str | None = None,
        add_special: bool = False,
        parse_special: bool = False,
        timeout: float | None = None,
    ) -> TokenizeResponse:
        request = requests.tokenize(
            text, model=model, add_special=add_special, parse_special=parse_special
        )
        with translated(self._address):
            return await self._stub.Tokenize(request, timeout=timeout)

    async def detokenize(
        self,
        token_ids: Iterable[int],
        *,
        model: str | None = None,
        unparse_special: bool = False,
        timeout: float | None = None,
    ) -> DetokenizeResponse:
        request = requests.detokenize(token_ids, model=model, unparse_special=unparse_special)
        with translated(self._address):
            return await self._stub.Detokenize(request, timeout=timeout)

    async def count_tokens(
        self,
        counted: str | Iterable[Message],
        *,
        model: str | None = None,
        tools: Iterable[Tool] = (),
        enable_thinking: bool | None = None,
        timeout: float | None = None,
    ) -> CountTokensResponse:
        request = requests.count_tokens(
            counted, model=model, tools=tools, enable_thinking=enable_thinking
        )
        with translated(self._address):
            return await self._stub.CountTokens(request, timeout=timeout)
