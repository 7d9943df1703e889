"""The blocking client."""

from corral.sync.client import Client
from corral.sync.stream import AnswerStream, EmbeddingStream
from corral.sync.watch import ModelWatch

__all__ = ["AnswerStream", "Client", "EmbeddingStream", "ModelWatch"]
