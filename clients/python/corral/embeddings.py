"""What texts become: vectors."""

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from corral.v1.embedding_pb2 import Embedding as EmbeddingMessage
from corral.v1.inference_pb2 import EmbedResponse, EmbedStreamResponse
from corral.v1.usage_pb2 import Usage


@dataclass(frozen=True)
class Embedding:
    """The vector of one input."""

    proto: EmbeddingMessage

    @property
    def index(self) -> int:
        """Which input it is of, from 0."""
        return self.proto.index

    @property
    def tokens(self) -> int:
        """Tokens of the input."""
        return self.proto.tokens

    @cached_property
    def vector(self) -> "array[float]":
        """The numbers, 32 bits each; numpy.asarray takes them without a copy."""
        if not self.proto.packed:
            return array("f", self.proto.values)
        vector = array("f")
        vector.frombytes(self.proto.packed)
        if sys.byteorder == "big":  # they travel little-endian
            vector.byteswap()
        return vector

    @property
    def values(self) -> list[float]:
        """The numbers as a list."""
        return self.vector.tolist()


@dataclass(frozen=True)
class Embeddings:
    """The vectors of all inputs, in their order: iterate it, or take one by its index."""

    proto: EmbedResponse

    @property
    def model(self) -> str:
        """The id of the model that was used."""
        return self.proto.model

    @property
    def request_id(self) -> str:
        """The request's name: the caller's, or the one that was made."""
        return self.proto.request_id

    @property
    def usage(self) -> Usage:
        """The tokens of all inputs together."""
        return self.proto.usage

    @property
    def vectors(self) -> "list[array[float]]":
        """The numbers alone."""
        return [embedding.vector for embedding in self]

    @cached_property
    def _embeddings(self) -> list[Embedding]:
        return list(map(Embedding, self.proto.embeddings))

    def __getitem__(self, index: int) -> Embedding:
        return self._embeddings[index]

    def __iter__(self) -> Iterator[Embedding]:
        return iter(self._embeddings)

    def __len__(self) -> int:
        return len(self._embeddings)


class PartialEmbeddings:
    """What is known of embeddings that are being computed."""

    def __init__(self) -> None:
        self.model = ""
        """The id of the model that is used; empty before the first message."""
        self.request_id = ""
        """The request's name; empty before the first message."""
        self.usage: Usage | None = None
        """The tokens of all inputs together; None until they are complete, and if they failed."""

    def _accept(self, event: EmbedStreamResponse) -> None:
        """Takes in one message."""
        self.model = self.model or event.model
        self.request_id = self.request_id or event.request_id
        if event.HasField("usage"):
            self.usage = event.usage
