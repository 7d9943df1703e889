"""The turns of a conversation and the tools offered in it."""

import json
from collections.abc import Iterable, Mapping

from corral.v1.chat_pb2 import Message, Role, Tool, ToolCall


def system(content: str) -> Message:
    """Sets the task. Allowed only as the first message."""
    return Message(role=Role.ROLE_SYSTEM, content=content)


def user(content: str, *, name: str = "") -> Message:
    """What the person or program says."""
    return Message(role=Role.ROLE_USER, content=content, name=name)


def assistant(
    content: str = "",
    *,
    tool_calls: Iterable[ToolCall] = (),
    reasoning: str = "",
    name: str = "",
) -> Message:
    """What the model said before."""
    return Message(
        role=Role.ROLE_ASSISTANT,
        content=content,
        tool_calls=tool_calls,
        reasoning=reasoning,
        name=name,
    )


def tool(content: str, *, call_id: str = "", name: str = "") -> Message:
    """The result of the tool call `call_id` of the tool `name`."""
    return Message(role=Role.ROLE_TOOL, content=content, tool_call_id=call_id, name=name)


def define_tool(
    name: str, description: str = "", parameters: Mapping[str, object] | None = None
) -> Tool:
    """A tool the model may call; `parameters` is the JSON Schema of its arguments."""
    return Tool(
        name=name,
        description=description,
        parameters="" if parameters is None else json.dumps(parameters),
    )
