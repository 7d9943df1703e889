"""The client for asyncio: the same names, arguments and errors as in `corral`, awaited."""

from corral.aio.client import Client
from corral.aio.stream import AnswerStream

__all__ = ["AnswerStream", "Client"]
