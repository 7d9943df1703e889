"""What a conversation is, before any template or token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """`thought` is what the assistant thinks first, where thinking is enabled."""

    role: str
    content: str = ""
    thought: str = ""
    calls: Sequence[ToolCall] = ()

    def as_dict(self) -> dict[str, Any]:
        """The shape that chat templates read."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.thought:
            message["reasoning_content"] = self.thought
        if self.calls:
            message["tool_calls"] = [
                {"type": "function", "function": {"name": c.name, "arguments": dict(c.arguments)}}
                for c in self.calls
            ]
        return message


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    properties: Mapping[str, Mapping[str, Any]]
    required: Sequence[str] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        parameters = {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
        }
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Conversation:
    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    enable_thinking: bool = False


Exchange = list[Message]
"""A user's turn and all that answers it."""


def exchange(question: str, answer: str, thought: str) -> Exchange:
    return [Message("user", question), Message("assistant", answer, thought)]
