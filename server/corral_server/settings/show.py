"""The configuration as it is in effect, with who said each thing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from corral_server.config import EngineTimeouts, HubConfig, ServerConfig
from corral_server.settings.format import BUDGET, ENGINE, HUB, MODEL, NO_LIMIT, SERVER
from corral_server.settings.kinds import Kind
from corral_server.settings.lines import KeyPath
from corral_server.settings.models import effective
from corral_server.settings.node import Node, dotted, quoted, written
from corral_server.settings.settle import Settings
from corral_server.settings.shape import Array, Dictionary, Shape, Table

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Row:
    """A key in effect: the table it is in, its value as TOML has it, and who said so."""

    table: KeyPath
    name: str
    value: Any
    source: str


def rows(settings: Settings) -> Iterator[Row]:
    """All keys of the server, and those of models that were set. No secret is among them: of a
    token, a configuration knows the file only."""
    tree = settings.tree
    yield from _section(("server",), SERVER, tree.get("server"), ServerConfig())
    yield from _budget(tree.get("budget"))
    yield from _section(("hub",), HUB, tree.get("hub"), HubConfig())
    yield from _section(("engine",), ENGINE, tree.get("engine"), EngineTimeouts())
    for id, node in tree.value["models"].value.items():
        yield from _table(("models", id), MODEL, effective(node, tree.get("defaults")))


def _section(path: KeyPath, shape: Table, node: Node | None, defaults: object) -> Iterator[Row]:
    for name, key in shape.keys.items():
        said = node.get(name) if node is not None else None
        default = getattr(defaults, shape.field(name))
        if said is not None:
            yield Row(path, name, _said(key.holds, said), str(said.origin))
        elif default is not None:
            value = key.holds.write(default) if isinstance(key.holds, Kind) else list(default)
            yield Row(path, name, value, _DEFAULT)


def _budget(node: Node | None) -> Iterator[Row]:
    if node is None or not node.value:
        yield Row(("budget",), "total", NO_LIMIT, _DEFAULT)
    else:
        yield from _table(("budget",), BUDGET, node)


def _table(path: KeyPath, shape: Table, node: Node) -> Iterator[Row]:
    """What a table says: its keys first, then the tables in it, as TOML wants it."""
    held = [(name, key.holds, said) for name, key in shape.keys.items() if (said := node.get(name))]
    for name, holds, said in held:
        if not isinstance(holds, Table):
            yield Row(path, name, _said(holds, said), str(said.origin))
    for name, holds, said in held:
        if isinstance(holds, Table):
            yield from _table((*path, name), holds, said)


def _said(shape: Shape, node: Node) -> Any:
    """What was said, in one form: sizes and durations in their largest unit, paths absolute."""
    match shape:
        case Kind():
            return shape.write(shape.read(node.value, node.origin.base))
        case Array():
            return [_said(shape.holds, item) for item in node.value]
        case Dictionary():
            return {name: _said(shape.holds, item) for name, item in node.value.items()}
        case Table():
            return {name: _said(shape.keys[name].holds, item) for name, item in node.value.items()}


def as_toml(shown: Iterator[Row]) -> str:
    """A configuration file that says the same, the source of each value behind it."""
    lines: list[str] = []
    table: KeyPath = ()
    for row in shown:
        if row.table != table:
            table = row.table
            lines += [*([""] if lines else []), f"[{dotted(table)}]"]
        line = f"{quoted(row.name)} = {written(row.value)}"
        lines.append(line if row.source == _DEFAULT else f"{line}  # {row.source}")
    if table[:1] != ("models",):
        lines += ["", "[models]"]
    return "\n".join(lines)


def as_json(shown: Iterator[Row]) -> str:
    """One object; each key of a table is an object of `value` and `source`."""
    document: dict[str, Any] = {"models": {}}
    for row in shown:
        table = document
        for part in row.table:
            table = table.setdefault(str(part), {})
        table[row.name] = {"value": row.value, "source": row.source}
    return json.dumps(document, ensure_ascii=False)
