"""What a table or an array may hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from corral_server.settings.kinds import Kind, near_miss


@dataclass(frozen=True)
class Key:
    """A key of a table: what it holds, and the field it fills where that is named otherwise."""

    holds: "Shape"
    field: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose keys are known. `make` is given the fields that were set, as keywords.

    `other_names`: what a key is called elsewhere. `required`: keys that must be there.
    """

    keys: Mapping[str, Key]
    make: Callable[..., Any] = dict
    required: tuple[str, ...] = ()
    other_names: Mapping[str, str] = field(default_factory=dict)

    def field(self, name: str) -> str:
        return self.keys[name].field or name

    def near_miss(self, name: str) -> str:
        if self.other_names.get(name) in self.keys:
            return f"; did you mean {self.other_names[name]}?"
        return near_miss(name, self.keys)


@dataclass(frozen=True)
class Dictionary:
    """A table whose keys are anything that `name` reads."""

    name: Kind
    holds: Kind
    most: int


@dataclass(frozen=True)
class Array:
    """Some of one kind, in order."""

    holds: Kind | Table
    most: int
    least: int = 0
    make: Callable[..., Any] = tuple


Shape: TypeAlias = Kind | Array | Table | Dictionary
