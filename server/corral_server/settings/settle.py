"""From a file, the environment and flags to what a server is told to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corral_server.config import BudgetConfig, EngineTimeouts, HubConfig, ServerConfig
from corral_server.settings import CONFIG
from corral_server.settings.file import read_file
from corral_server.settings.format import BUDGET, ENGINE, HUB, SECTIONS, SERVER
from corral_server.settings.kinds import near_miss, shown
from corral_server.settings.models import read_models
from corral_server.settings.node import Node, Origin, grow, merge
from corral_server.settings.overrides import DEFAULT_MODEL, from_environment, misspelt
from corral_server.settings.quantity import duration_text
from corral_server.settings.reader import BAD, Problems, read
from corral_server.settings.shape import Table

DEMO_ID = "demo"
_BUILT_IN = Origin("built in", Path())


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do, who said what of it, and what looks wrong but does no harm."""

    config: ServerConfig
    tree: Node
    warnings: tuple[str, ...] = ()


def load_settings(file: str | None, environment: Mapping[str, str], flags: Node) -> Settings:
    """Flags count before the environment, and that before the file; without `file`, the one that
    CORRAL_CONFIG names, or none. Raises ConfigInvalid with everything that is wrong."""
    name = file or environment.get(CONFIG)
    base = read_file(Path(name)) if name else Node({}, "", _BUILT_IN)
    problems = Problems()
    # By itself first: nothing that overrides it makes a bad file good.
    _check_sections(base, problems)
    _config(base, problems)
    tree = _over(flags, _over(from_environment(environment), base))
    tree = _with_default(_with_models(tree), base, problems)
    config = _config(tree, problems)
    problems.close()
    return Settings(config, tree, tuple(misspelt(environment)))


def _check_sections(base: Node, problems: Problems) -> None:
    for name, node in base.value.items():
        if name not in SECTIONS:
            problems.note(node, f"is not known{near_miss(name, SECTIONS)}")


def _over(over: Node, under: Node) -> Node:
    """A budget is replaced as a whole: half of one and half of another is none."""
    if over.get("budget") is not None:
        under = _with(under, {"budget": None})
    return merge(over, under) or over


def _with(table: Node, items: Mapping[str, Node | None]) -> Node:
    """The table with these items, without those that are None."""
    merged = {**table.value, **items}
    kept = {name: item for name, item in merged.items() if item is not None}
    return Node(kept, table.key, table.origin)


def _with_models(tree: Node) -> Node:
    """The tree with the demo model if nothing is said about models."""
    if tree.get("models") is not None:
        return tree
    demo = {DEMO_ID: {"source": "demo"}}
    return _with(tree, {"models": grow(demo, lambda _: _BUILT_IN, ("models",))})


def _with_default(tree: Node, base: Node, problems: Problems) -> Node:
    """The tree with the default model marked that a flag or a variable names.

    Where the file says nothing about models, the first one that is named is the default.
    """
    models = tree.value["models"]
    if not isinstance(models.value, dict):
        return tree
    default = tree.get(str(DEFAULT_MODEL[0]))
    if default is None and base.get("models") is None:
        id, first = next(iter(models.value.items()))
        default = Node(id, "", first.origin)
    if default is None:
        return tree
    return _with(tree, {"models": _marked(models, default, problems)})


def _marked(models: Node, default: Node, problems: Problems) -> Node:
    """The models with this one as the default, whatever they say themselves."""
    if default.value not in models.value:
        near = near_miss(default.value, models.value)
        problems.note(default, f"must be the id of a model, not {shown(default.value)}{near}")
        return models
    mark = Node(True, f"{models.value[default.value].key}.default", default.origin)
    marked: dict[str, Node | None] = {
        id: _with(node, {"default": mark if id == default.value else None})
        for id, node in models.value.items()
        if isinstance(node.value, dict)
    }
    return _with(models, marked)


def _config(tree: Node, problems: Problems) -> ServerConfig:
    models = read_models(tree, problems)
    return ServerConfig(
        models=tuple(model.spec for model in models if not model.on_demand),
        on_demand=tuple(model.spec for model in models if model.on_demand),
        default_model=next((model.spec.id for model in models if model.is_default), None),
        budget=_budget(tree.get("budget"), problems),
        hub=_section(HUB, tree.get("hub"), HubConfig(), problems),
        engine=_engine(tree.get("engine"), problems),
        **_server(tree.get("server"), problems),
    )


def _server(node: Node | None, problems: Problems) -> Any:
    fields = _section(SERVER, node, {}, problems)
    if node is not None and ("tls_cert" in fields) != ("tls_key" in fields):
        problems.note(node, "must have both tls_cert and tls_key, or neither")
    return fields


def _section(shape: Table, node: Node | None, default: Any, problems: Problems) -> Any:
    value = read(shape, node, problems) if node is not None else default
    return default if value is BAD else value


def _budget(node: Node | None, problems: Problems) -> BudgetConfig:
    fields = _section(BUDGET, node, {}, problems)
    if node is not None and len(fields) > 1:
        problems.note(node, "must have either total or devices")
    if "device_bytes" in fields:
        return BudgetConfig(device_bytes=fields["device_bytes"])
    budget: BudgetConfig = fields.get("total", BudgetConfig())
    return budget


def _engine(node: Node | None, problems: Problems) -> EngineTimeouts:
    engine: EngineTimeouts = _section(ENGINE, node, EngineTimeouts(), problems)
    if node is not None and engine.backoff_s > engine.backoff_max_s:
        why = f"backoff must be at most backoff_max, {duration_text(engine.backoff_max_s)}"
        problems.note(node, why)
    return engine
