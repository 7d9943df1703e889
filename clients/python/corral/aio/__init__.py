"""The client for asyncio: the same names, arguments and errors as in `corral`, awaited."""

from corral.aio.client import Client
from corral.aio.stream import AnswerStream, EmbeddingStream
from corral.aio.watch import ModelWatch

__all__ = ["AnswerStream", "Client", "EmbeddingStream", "ModelWatch"]
