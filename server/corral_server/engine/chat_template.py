"""A model's Jinja template: turns a conversation into the text the model was trained on.

The template comes with the model file and is not trusted: it runs in Jinja's sandbox, and in this
process, where it can harm only its own model. What it may use beyond plain Jinja is what the field
expects of a chat template (the conventions of Hugging Face's transformers).
"""

import json
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from corral_server.engine.escape import ControlEscaper
from corral_server.errors import ChatTemplateFailed
from corral_server.request import Conversation, Message, Tool, ToolCall

MAX_TEMPLATE_CHARS = 512 * 1024
MAX_PROMPT_CHARS = 64 * 1024 * 1024


class _GenerationTag(Extension):
    """`{% generation %}` marks the assistant's part for training; here it means its content."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """One template, compiled once."""

    def __init__(self, source: str, *, start_text: str, end_text: str) -> None:
        """`start_text` and `end_text` are what templates know as bos_token and eos_token.

        Raises ChatTemplateFailed if `source` is no template.
        """
        if len(source) > MAX_TEMPLATE_CHARS:
            raise ChatTemplateFailed(f"the chat template is over {MAX_TEMPLATE_CHARS} characters")
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationTag]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        self._tokens = {"bos_token": start_text, "eos_token": end_text}
        try:
            self._template = environment.from_string(source)
        except Exception as error:
            # It becomes Python code, and Python has limits of its own: digits, nested blocks.
            raise ChatTemplateFailed(f"the chat template does not compile: {error}") from error

    def render(self, conversation: Conversation, escaper: ControlEscaper) -> str:
        """The prompt up to where the assistant begins, callers' text escaped.

        Raises ChatTemplateFailed with what the template says is wrong.
        """
        try:
            variables = _variables(conversation, escaper)
            parts: list[str] = []
            length = 0
            for part in self._template.generate(**variables, **self._tokens):
                length += len(part)
                if length > MAX_PROMPT_CHARS:
                    raise ChatTemplateFailed(f"the prompt is over {MAX_PROMPT_CHARS} characters")
                parts.append(part)
        except ChatTemplateFailed:
            raise
        except Exception as error:
            # A template is a program of strangers: it can fail in any way a program can.
            raise ChatTemplateFailed(f"the model's chat template failed: {error}") from error
        return "".join(parts)


def _variables(conversation: Conversation, escaper: ControlEscaper) -> dict[str, Any]:
    variables: dict[str, Any] = {
        "messages": [_message(message, escaper) for message in conversation.messages],
        "tools": [_tool(tool, escaper) for tool in conversation.tools] or None,
        "add_generation_prompt": True,
    }
    if conversation.enable_thinking is not None:
        variables["enable_thinking"] = conversation.enable_thinking
    return variables


def _message(message: Message, escaper: ControlEscaper) -> dict[str, Any]:
    """Absent fields stay absent: templates ask whether they are defined."""
    turn: dict[str, Any] = {"role": message.role, "content": escaper.escape(message.content)}
    if message.reasoning:
        turn["reasoning_content"] = escaper.escape(message.reasoning)
    if message.tool_calls:
        turn["tool_calls"] = [_tool_call(call, escaper) for call in message.tool_calls]
    if message.tool_call_id:
        turn["tool_call_id"] = escaper.escape(message.tool_call_id)
    if message.name:
        turn["name"] = escaper.escape(message.name)
    return turn


def _tool_call(call: ToolCall, escaper: ControlEscaper) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.loads(call.arguments)}
    return {
        "id": escaper.escape(call.id),
        "type": "function",
        "function": _escaped(function, escaper),
    }


def _tool(tool: Tool, escaper: ControlEscaper) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": _escaped(function, escaper)}


def _escaped(value: Any, escaper: ControlEscaper) -> Any:
    """`value` with every string in it escaped, keys included."""
    if isinstance(value, str):
        return escaper.escape(value)
    if isinstance(value, list):
        return [_escaped(item, escaper) for item in value]
    if isinstance(value, dict):
        return {escaper.escape(key): _escaped(item, escaper) for key, item in value.items()}
    return value


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    """Jinja's own filter escapes for HTML, which no model was trained on."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
