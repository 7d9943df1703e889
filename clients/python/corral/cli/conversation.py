"""A conversation with a model: its turns, its settings, and what it cost so far."""

from dataclasses import dataclass, field

from corral.messages import assistant, system, user
from corral.requests import SamplingOptions
from corral.sync import AnswerStream, Client
from corral.v1.chat_pb2 import Message
from corral.v1.inference_pb2 import ChatStreamResponse, Finished
from corral.words import PriorityWord


@dataclass(kw_only=True)
class Conversation:
    """What is said next depends on all of this."""

    model: str | None = None  # None: the default model
    system: str | None = None
    thinking: bool | None = None  # None: the template's own default
    max_tokens: int | None = None
    cache_scope: str | None = None
    priority: PriorityWord | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    turns: list[Message] = field(default_factory=list)
    answers: list[Finished] = field(default_factory=list)  # those that were completed

    def ask(self, client: Client, text: str) -> AnswerStream[ChatStreamResponse]:
        """Sends the whole conversation with `text` as its next turn. Changes nothing."""
        first = [system(self.system)] if self.system else []
        return client.inference.chat_stream(
            [*first, *self.turns, user(text)],
            model=self.model,
            enable_thinking=self.thinking,
            max_tokens=self.max_tokens,
            cache_scope=self.cache_scope,
            priority=self.priority,
            **self.sampling,
        )

    def record(self, text: str, answer: AnswerStream[ChatStreamResponse]) -> None:
        """Takes up a turn and its answer, also one that was cut short.

        Without a word of an answer nothing is taken up: two turns of one speaker in a row are
        refused by many templates.
        """
        if answer.text:
            self.turns += [user(text), assistant(answer.text)]
        if answer.finished is not None:
            self.answers.append(answer.finished)
