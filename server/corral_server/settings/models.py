"""The models of a configuration, and what contradicts itself in and between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corral_server.config import (
    GENERATIVE,
    Capability,
    LoadOptions,
    ModelSpec,
    default_mode,
)
from corral_server.errors import FieldViolation, InvalidFields
from corral_server.rpc.check import Checker
from corral_server.rpc.load_options import check_together
from corral_server.settings.format import DEFAULTS, MODEL, MODEL_ID, ON_DEMAND, STARTUP
from corral_server.settings.kinds import shown
from corral_server.settings.node import Node, merge
from corral_server.settings.reader import BAD, Problems, read


@dataclass(frozen=True, slots=True)
class Configured:
    """A model, and what a server does with it."""

    spec: ModelSpec
    on_demand: bool
    is_default: bool


def read_models(tree: Node, problems: Problems) -> list[Configured]:
    """The models in the order they were written. Those that are bad are noted and left out."""
    if (defaults := tree.get("defaults")) is not None:
        read(DEFAULTS, defaults, problems)
    models = tree.get("models")
    if models is not None and not isinstance(models.value, dict):
        problems.note(models, f"must be a table, not {shown(models.value)}")
        return []
    tables: dict[str, Node] = models.value if models else {}
    _check_names(tables, problems)
    _check_defaults(tables, problems)
    found = (_model(id, node, defaults, problems) for id, node in tables.items())
    return [model for model in found if model is not None]


def _model(id: str, own: Node, defaults: Node | None, problems: Problems) -> Configured | None:
    read(MODEL_ID, Node(id, own.key, own.origin), problems)
    node = effective(own, defaults)
    fields = read(MODEL, node, problems)
    if fields is BAD:
        return None
    model = _configured(id, fields)
    for violation in _contradictions(model.spec, own):
        problems.note(node.get(violation.field) or node, violation.why)
    return model


def effective(own: Node, defaults: Node | None) -> Node:
    """A model's table over the defaults. A pinned model stays, whatever they say."""
    if _is_true(own.get("pinned")) and defaults is not None and isinstance(defaults.value, dict):
        kept = {name: node for name, node in defaults.value.items() if name != "keep_alive"}
        defaults = Node(kept, defaults.key, defaults.origin)
    return merge(own, defaults) or own


def _configured(id: str, fields: dict[str, Any]) -> Configured:
    names = [name for name in LoadOptions.__struct_fields__ if name in fields]
    options = LoadOptions(**{name: fields.pop(name) for name in names})
    on_demand = fields.pop("start", STARTUP) == ON_DEMAND
    is_default = fields.pop("default", False)
    mode = fields.pop("mode", default_mode(fields.get("capabilities", GENERATIVE)))
    spec = ModelSpec(id=id, options=options, mode=mode, **fields)
    return Configured(spec, on_demand, is_default)


def _is_true(node: Node | None) -> bool:
    return node is not None and node.value is True


def _contradictions(spec: ModelSpec, own: Node) -> Iterator[FieldViolation]:
    """What is good by itself but not beside the rest. What only the defaults say, and a model has
    no use for, is no contradiction."""
    yield from _between_options(spec.options)
    if spec.pinned and spec.keep_alive_s is not None:
        yield FieldViolation("keep_alive", "must not be given for a model that is pinned")
    for name, capability in (("pooling", Capability.EMBED), ("chat_template", Capability.CHAT)):
        if own.get(name) is not None and capability not in spec.capabilities:
            why = f'has no use without "{capability.value}" among the capabilities'
            yield FieldViolation(name, why)


def _between_options(options: LoadOptions) -> tuple[FieldViolation, ...]:
    """As the contract's edge checks them, in the same words."""
    check = Checker()
    check_together(options, "", check)
    try:
        check.close()
    except InvalidFields as error:
        return error.violations
    return ()


def _check_names(models: Mapping[str, Node], problems: Problems) -> None:
    """Every id and every alias leads to one model."""
    owners, seen = dict(models), set[str]()
    for model in models.values():
        for alias in _aliases(model):
            owner = owners.setdefault(alias.value, model)
            if alias.value in models:
                problems.note(alias, f"{shown(alias.value)} is the id of {_told(owner)}")
            elif alias.value in seen:
                problems.note(alias, f"{shown(alias.value)} is an alias of {_told(owner)} already")
            seen.add(alias.value)


def _aliases(model: Node) -> Iterator[Node]:
    aliases = model.get("aliases")
    if aliases is not None and isinstance(aliases.value, list):
        yield from (alias for alias in aliases.value if isinstance(alias.value, str))


def _check_defaults(models: Mapping[str, Node], problems: Problems) -> None:
    marks = [(model, mark) for model in models.values() if (mark := _mark(model))]
    for _, mark in marks[1:]:
        why = f"{_told(marks[0][0])} is the default already; only one can be"
        problems.note(mark, why)


def _mark(model: Node) -> Node | None:
    mark = model.get("default")
    return mark if _is_true(mark) else None


def _told(node: Node) -> str:
    return f"{node.key} ({node.origin})"
