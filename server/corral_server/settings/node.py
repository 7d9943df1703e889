"""A value as somebody wrote it, and where: in a file, the environment or a flag."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corral_server.settings.lines import KeyPath

_SHORT = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t"}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said it: a file with a line, a variable or a flag. `base`: what paths are relative to."""

    name: str
    base: Path
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value as TOML has it; what a table or an array holds are nodes again.

    `key`: its path as it was written. A value keeps it when it is merged into another table.
    """

    value: Any
    key: str
    origin: Origin

    def __str__(self) -> str:
        """For messages. A variable or a flag is its own name; a file needs the key."""
        if self.origin.line is None or not self.key:
            return str(self.origin)
        return f"{self.origin}: {self.key}"

    def get(self, name: str) -> "Node | None":
        return self.value.get(name) if isinstance(self.value, dict) else None


def grow(raw: Any, origin_of: Callable[[KeyPath], Origin], path: KeyPath = ()) -> Node:
    """The nodes of a plain value."""
    value = raw
    if isinstance(raw, dict):
        value = {name: grow(item, origin_of, (*path, name)) for name, item in raw.items()}
    elif isinstance(raw, list):
        value = [grow(item, origin_of, (*path, number)) for number, item in enumerate(raw)]
    return Node(value, dotted(path), origin_of(path))


def merge(over: Node | None, under: Node | None) -> Node | None:
    """`over` where both say something. Tables are merged, everything else is replaced."""
    if over is None or under is None:
        return over or under
    if not (isinstance(over.value, dict) and isinstance(under.value, dict)):
        return over
    names = [*under.value, *(name for name in over.value if name not in under.value)]
    merged = {name: merge(over.get(name), under.get(name)) for name in names}
    return Node(merged, over.key, over.origin)


def dotted(path: KeyPath) -> str:
    """A path as TOML writes it. Example: models."qwen/3".lora[0].path."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{quoted(part)}" if text else quoted(part)
    return text


def quoted(name: str) -> str:
    """A key as TOML writes it: quoted where it must be."""
    return name if _BARE.fullmatch(name) else written(name)


def written(value: Any) -> str:
    """A plain value as TOML writes it on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{"".join(map(_escaped, value))}"'
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            pairs = (f"{quoted(name)} = {written(item)}" for name, item in value.items())
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case _:
            return str(value)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 2**16 else f"\\U{ord(character):08x}"
