"""What the environment and the flags say: it counts instead of what the file says."""

import os
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from corral_server.settings import CONFIG
from corral_server.settings.format import ENGINE, HUB, SERVER
from corral_server.settings.kinds import Switch, Whole, near_miss
from corral_server.settings.lines import KeyPath
from corral_server.settings.node import Node, Origin, grow, merge
from corral_server.settings.shape import Array, Shape

PREFIX = "CORRAL_"
DEFAULT_MODEL: KeyPath = ("default_model",)
BUDGET: KeyPath = ("budget",)

_SECTIONS = {"": ("server", SERVER), "HUB_": ("hub", HUB), "ENGINE_": ("engine", ENGINE)}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_SWITCH = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)


def _variables() -> dict[str, KeyPath]:
    return {
        f"{PREFIX}{prefix}{name.upper()}": (section, name)
        for prefix, (section, table) in _SECTIONS.items()
        for name in table.keys
    }


VARIABLES: Mapping[str, KeyPath] = {
    "CORRAL_BUDGET": BUDGET,
    "CORRAL_DEFAULT_MODEL": DEFAULT_MODEL,
    **_variables(),
}
"""The variables that stand for a key: CORRAL_KEY of [server], CORRAL_HUB_KEY, CORRAL_ENGINE_KEY."""

# What clients read: no mistake where a server and its clients share an environment.
_OF_CLIENTS = ("CORRAL_TOKEN", "CORRAL_CA_FILE")


def from_environment(environment: Mapping[str, str]) -> Node:
    """What the variables say. An empty one says nothing."""
    said = ((name, path, environment.get(name, "")) for name, path in VARIABLES.items())
    return overrides((name, path, text) for name, path, text in said if text)


def overrides(said: Iterable[tuple[str, KeyPath, str]]) -> Node:
    """Nodes of (who says it, which key, what). Paths are relative to the working directory."""
    tree = Node({}, "", Origin("", Path()))
    for name, path, text in said:
        raw = reduce(lambda inner, part: {part: inner}, reversed(path), _raw(path, text))
        tree = merge(_said_by(name, raw), tree) or tree
    return tree


def _said_by(name: str, raw: Any) -> Node:
    origin = Origin(name, Path())
    return grow(raw, lambda _: origin)


def _raw(path: KeyPath, text: str) -> Any:
    """The text as TOML would have it; what makes no sense stays, to be refused with its name."""
    if path == BUDGET:
        return _budget(text)
    shape = _shape(path)
    if isinstance(shape, Switch):
        return _SWITCH.get(text.lower(), text)
    if isinstance(shape, Array):
        return [part for part in text.split(os.pathsep) if part]
    if isinstance(shape, Whole):
        return int(text) if text.isdecimal() and len(text) < 20 else text
    return text


def _shape(path: KeyPath) -> Shape | None:
    for section, table in _SECTIONS.values():
        if path[0] == section:
            return table.keys[str(path[1])].holds
    return None


def _budget(text: str) -> dict[str, Any]:
    """Example: 12 GiB; auto; RAM=8 GiB,CUDA0=20 GiB."""
    if "=" not in text:
        return {"total": text}
    pairs = (part.partition("=") for part in text.split(","))
    return {"devices": {device.strip(): size for device, _, size in pairs}}


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """Warnings about variables that are probably meant for us and have no effect."""
    known = [name.removeprefix(PREFIX) for name in (CONFIG, *VARIABLES)]
    named = sorted(name for name in environment if name not in _OF_CLIENTS)
    ours = (name.removeprefix(PREFIX) for name in named if name.startswith(PREFIX))
    return [
        f"{PREFIX}{name} is not known and has no effect{near}"
        for name in ours
        if name not in known and (near := near_miss(name, known, PREFIX))
    ]
