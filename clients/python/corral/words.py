"""The contract's enums as words: CACHE_TYPE_Q8_0 is q8_0."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

CacheTypeWord: TypeAlias = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
CapabilityWord: TypeAlias = Literal["generate", "chat", "embed"]
FlashAttentionWord: TypeAlias = Literal["auto", "on", "off"]
ModeWord: TypeAlias = Literal["server", "direct"]
PoolingWord: TypeAlias = Literal["mean", "cls", "last"]
PriorityWord: TypeAlias = Literal["low", "normal", "high"]
RopeScalingWord: TypeAlias = Literal["none", "linear", "yarn"]
SplitModeWord: TypeAlias = Literal["none", "layer", "row"]

Value = TypeVar("Value", bound=int)


def word(kind: "EnumTypeWrapper", value: int) -> str:
    """An enum's value as a word. One of a newer server that we do not know is its number."""
    if value not in kind.values():
        return str(value)
    return kind.Name(value).removeprefix(_prefix(kind)).lower()


def words(kind: "EnumTypeWrapper") -> list[str]:
    """All words of an enum, in order."""
    known = [value for value in kind.values() if value]  # 0 is "not set"
    return [word(kind, value) for value in known]


def named(kind: "EnumTypeWrapper", given: Value | str | None) -> Value | str | None:
    """What a message takes where a word or a value was given. Raises ValueError for others."""
    if not isinstance(given, str):
        return given
    if given not in words(kind):
        raise ValueError(f"{given!r} is none of {', '.join(words(kind))}")
    return _prefix(kind) + given.upper()


def all_named(kind: "EnumTypeWrapper", given: Iterable[Value | str]) -> list[Value | str]:
    """As `named`, of several."""
    return [found for each in given if (found := named(kind, each)) is not None]


def _prefix(kind: "EnumTypeWrapper") -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.DESCRIPTOR.name).upper() + "_"
