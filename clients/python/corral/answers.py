"""What models say. These objects are text first: `str()` of each is its text, `.proto` the
contract's message. Everything else a call returns is the contract's message itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from corral.v1.chat_pb2 import Message
from corral.v1.inference_pb2 import (
    ChatResponse,
    ChatStreamResponse,
    Finished,
    GenerateResponse,
    GenerateStreamResponse,
    Started,
)
from corral.v1.inference_pb2 import Delta as DeltaMessage
from corral.v1.sampling_pb2 import SamplingParams
from corral.v1.tokenization_pb2 import Token

Response = TypeVar("Response", GenerateResponse, ChatResponse)


@dataclass(frozen=True)
class Answer(Generic[Response]):
    """A complete answer."""

    proto: Response

    @property
    def text(self) -> str:
        """The whole text."""
        raise NotImplementedError

    @property
    def model(self) -> str:
        """The id of the model that was used."""
        return self.proto.model

    @property
    def request_id(self) -> str:
        """The request's name: the caller's, or the one that was made."""
        return self.proto.request_id

    @property
    def finished(self) -> Finished:
        """Why it ended and what it cost: `.reason`, `.usage`, `.timings`."""
        return self.proto.finished

    @property
    def sampling(self) -> SamplingParams:
        """The sampling in force, every field set, seed included."""
        return self.proto.sampling

    @property
    def tokens(self) -> Sequence[Token]:
        """The tokens; empty unless asked for with `tokens=True`."""
        return self.proto.tokens

    def __str__(self) -> str:
        return self.text


class GenerateAnswer(Answer[GenerateResponse]):
    """The continuation of a prompt."""

    @property
    def text(self) -> str:
        """The continuation, without the prompt."""
        return self.proto.text


class ChatAnswer(Answer[ChatResponse]):
    """The answer to a conversation."""

    @property
    def text(self) -> str:
        """The answer as the model wrote it, thinking and tool calls included."""
        return self.proto.message.content

    @property
    def message(self) -> Message:
        """The answer, ready to be appended to the conversation."""
        return self.proto.message


@dataclass(slots=True)  # not frozen: there is one for each token, and that would cost as much
class Delta:
    """More of an answer that is being written. All deltas joined are the whole text."""

    proto: DeltaMessage

    @property
    def text(self) -> str:
        """The text that came to be certain since the last delta."""
        return self.proto.text

    @property
    def tokens(self) -> Sequence[Token]:
        """The tokens since the last delta; empty unless asked for with `tokens=True`."""
        return self.proto.tokens

    def __str__(self) -> str:
        return self.text


class PartialAnswer:
    """What is known of an answer that is being written."""

    def __init__(self) -> None:
        self.started: Started | None = None
        """The request as it was accepted; None before the first message."""
        self.finished: Finished | None = None
        """Why it ended and what it cost; None until it is complete, and if it failed."""
        self._parts: list[DeltaMessage] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(part.text for part in self._parts)

    def _accept(self, event: GenerateStreamResponse | ChatStreamResponse) -> None:
        """Takes in one message; one of a newer server that we do not know changes nothing."""
        match event.WhichOneof("event"):
            case "started":
                self.started = event.started
            case "delta":
                self._parts.append(event.delta)
            case "finished":
                self.finished = event.finished
