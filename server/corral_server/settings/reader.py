"""From nodes to values. Everything that is wrong is noted, so that all of it is heard at once."""

from collections.abc import Iterable
from typing import Any

from corral_server.errors import ConfigInvalid
from corral_server.settings.kinds import Kind, shown
from corral_server.settings.node import Node
from corral_server.settings.shape import Array, Dictionary, Shape, Table


class Problems:
    """What is wrong, each once."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def note(self, node: Node, why: str) -> None:
        self._lines[f"{node}: {why}"] = node.origin.line or 0

    def close(self) -> None:
        """Raises ConfigInvalid if anything was wrong, in the order of the file."""
        if self._lines:
            texts = sorted(self._lines, key=self._lines.__getitem__)
            raise ConfigInvalid("\n".join(texts), count=len(texts))


BAD: Any = object()
"""In place of a value that was bad, which is noted."""


def read(shape: Shape, node: Node, problems: Problems) -> Any:
    """The value of `node`, or BAD."""
    try:
        match shape:
            case Kind():
                return shape.read(node.value, node.origin.base)
            case Array():
                return _array(shape, node, problems)
            case Table():
                return _table(shape, node, problems)
            case Dictionary():
                return _dictionary(shape, node, problems)
    except ValueError as error:
        problems.note(node, str(error))
        return BAD


def _array(shape: Array, node: Node, problems: Problems) -> Any:
    items = node.value
    if not isinstance(items, list):
        raise ValueError(f"must be an array, not {shown(items)}")
    _check_count(len(items), shape.least, shape.most)
    return shape.make(_good(read(shape.holds, item, problems) for item in items))


def _dictionary(shape: Dictionary, node: Node, problems: Problems) -> dict[Any, Any]:
    items = _entries(node)
    _check_count(len(items), 0, shape.most)
    values = {}
    for name, item in items.items():
        key = read(shape.name, Node(name, item.key, item.origin), problems)
        value = read(shape.holds, item, problems)
        if key is not BAD and value is not BAD:
            values[key] = value
    return values


def _table(shape: Table, node: Node, problems: Problems) -> Any:
    fields = {}
    for name, item in _entries(node).items():
        if name not in shape.keys:
            problems.note(item, f"is not known{shape.near_miss(name)}")
        elif (value := read(shape.keys[name].holds, item, problems)) is not BAD:
            fields[shape.field(name)] = value
    for name in shape.required:
        if node.get(name) is None:
            problems.note(node, f"must have a {name}")
    is_whole = all(shape.field(name) in fields for name in shape.required)
    return shape.make(**fields) if is_whole else BAD


def _entries(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise ValueError(f"must be a table, not {shown(node.value)}")
    return node.value


def _check_count(count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise ValueError(f"must have {least} to {most} entries, not {count}")


def _good(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not BAD]
