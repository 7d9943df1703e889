"""Renders conversations with the chat template and keeps text apart from scaffold.

The service tokenizes the words of a message as plain text, never as control tokens, and apart from
the template around them. The model must be trained on tokens cut the same way, so every string of
a message is wrapped in sentinels before rendering and found again after it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_PATH = Path(__file__).parent / "chat_template.jinja"
_OPEN, _CLOSE = "\ue000", "\ue001"
_PIECE = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}|([^{_OPEN}]+)")

Piece = tuple[str, bool]
"""A stretch of a prompt, and whether it is text that someone wrote."""


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def load() -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    return environment.from_string(TEMPLATE_PATH.read_text(encoding="utf-8"))


_TEMPLATE = load()


def render(
    messages: Sequence[dict[str, Any]],
    tools: Sequence[dict[str, Any]] = (),
    *,
    add_generation_prompt: bool = True,
    enable_thinking: bool = False,
) -> str:
    return _TEMPLATE.render(
        messages=messages,
        tools=list(tools) or None,
        add_generation_prompt=add_generation_prompt,
        enable_thinking=enable_thinking,
    )


def render_pieces(
    messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = (), **options: bool
) -> Iterator[Piece]:
    """The prompt in order, cut where text meets scaffold."""
    marked = [_mark(message) for message in messages]
    for match in _PIECE.finditer(render(marked, tools, **options)):
        text, scaffold = match.groups()
        if text or scaffold:
            yield (scaffold, False) if text is None else (text, True)


def _mark(message: dict[str, Any]) -> dict[str, Any]:
    texts = {
        field: f"{_OPEN}{message[field]}{_CLOSE}"
        for field in ("content", "reasoning_content")
        if message.get(field)
    }
    return message | texts
