"""The blocking client."""

from corral.sync.client import Client
from corral.sync.stream import AnswerStream

__all__ = ["AnswerStream", "Client"]
