"""Asking models."""

from collections.abc import Iterable
from typing import Unpack

import grpc

from corral import requests
from corral.answers import ChatAnswer, GenerateAnswer
from corral.embeddings import Embeddings
from corral.errors import translated
from corral.requests import ChatOptions, EmbedOptions, GenerateOptions, Prompt
from corral.sync.stream import AnswerStream, EmbeddingStream
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
    """Asks models. `model` is an id; None means the default model.

    The keywords of `generate` and `chat` are those of corral.requests.GenerateOptions and
    ChatOptions: model, request_id, max_tokens, stop, stop_token_ids, include_stop, ignore_eos,
    tokens, cache_scope, priority, and the sampling: temperature, top_k, top_p, min_p,
    repeat_penalty, repeat_last_n, frequency_penalty, presence_penalty, seed, logit_bias.
    """

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = InferenceStub(channel)
        self._address = address

    def generate(
        self, prompt: Prompt, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> GenerateAnswer:
        """Continues a text, or tokens taken as they are.

        Control tokens written in a text stay text, unless `parse_special` is set.
        """
        request = requests.generate(GenerateRequest, prompt, **options)
        with translated(self._address):
            return GenerateAnswer(self._stub.Generate(request, timeout=timeout))

    def generate_stream(
        self, prompt: Prompt, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> AnswerStream[GenerateStreamResponse]:
        """As `generate`, while it is written. Errors are raised by the stream."""
        request = requests.generate(GenerateStreamRequest, prompt, **options)
        return AnswerStream(self._stub.GenerateStream(request, timeout=timeout), self._address)

    def chat(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatAnswer:
        """Answers a conversation. `tools` are those the model may call; `enable_thinking` says
        whether it may think first, where its template knows how."""
        request = requests.chat(ChatRequest, messages, **options)
        with translated(self._address):
            return ChatAnswer(self._stub.Chat(request, timeout=timeout))

    def chat_stream(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
        **options: Unpack[ChatOptions],
    ) -> AnswerStream[ChatStreamResponse]:
        """As `chat`, while it is written. Errors are raised by the stream."""
        request = requests.chat(ChatStreamRequest, messages, **options)
        return AnswerStream(self._stub.ChatStream(request, timeout=timeout), self._address)

    def embed(
        self,
        inputs: str | Iterable[Prompt],
        *,
        timeout: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Embeddings:
        """Turns texts, or tokens taken as they are, into vectors. A single text is one input.

        The model must have been loaded with the capability embed. The keywords are those of
        corral.requests.EmbedOptions: model, request_id, pooling, normalize, packed.
        """
        request = requests.embed(EmbedRequest, inputs, **options)
        with translated(self._address):
            return Embeddings(self._stub.Embed(request, timeout=timeout))

    def embed_stream(
        self,
        inputs: str | Iterable[Prompt],
        *,
        timeout: float | None = None,
        **options: Unpack[EmbedOptions],
    ) -> EmbeddingStream:
        """As `embed`, while they are computed: for many texts, or to begin early. Errors are
        raised by the stream."""
        request = requests.embed(EmbedStreamRequest, inputs, **options)
        return EmbeddingStream(self._stub.EmbedStream(request, timeout=timeout), self._address)

    def tokenize(
        self,
        text: str,
        *,
        model: str | None = None,
        add_special: bool = False,
        parse_special: bool = False,
        timeout: float | None = None,
    ) -> TokenizeResponse:
        """Splits a text into the model's tokens.

        `add_special` adds the model's own start and end tokens; with `parse_special`, control
        tokens written in the text become control tokens.
        """
        request = requests.tokenize(
            text, model=model, add_special=add_special, parse_special=parse_special
        )
        with translated(self._address):
            return self._stub.Tokenize(request, timeout=timeout)

    def detokenize(
        self,
        token_ids: Iterable[int],
        *,
        model: str | None = None,
        unparse_special: bool = False,
        timeout: float | None = None,
    ) -> DetokenizeResponse:
        """Joins tokens to a text; with `unparse_special`, control tokens are written out."""
        request = requests.detokenize(token_ids, model=model, unparse_special=unparse_special)
        with translated(self._address):
            return self._stub.Detokenize(request, timeout=timeout)

    def count_tokens(
        self,
        counted: str | Iterable[Message],
        *,
        model: str | None = None,
        tools: Iterable[Tool] = (),
        enable_thinking: bool | None = None,
        timeout: float | None = None,
    ) -> CountTokensResponse:
        """Counts the tokens of a prompt, or of a conversation with its template.

        `tools` and `enable_thinking` belong to a conversation.
        """
        request = requests.count_tokens(
            counted, model=model, tools=tools, enable_thinking=enable_thinking
        )
        with translated(self._address):
            return self._stub.CountTokens(request, timeout=timeout)
