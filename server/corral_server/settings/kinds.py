"""What a value may be. A kind reads a value as it was written, and writes it as one would."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from corral_server.errors import InvalidFields
from corral_server.rpc.check import Checker
from corral_server.rpc.convert_models import MODEL_ID, MODEL_ID_RULE
from corral_server.rpc.limits import MAX_NAME_BYTES, MAX_PATH_BYTES, Range
from corral_server.settings.node import written
from corral_server.settings.quantity import duration_s, duration_text, size_bytes, size_text

FOREVER = "forever"


class Kind(ABC):
    """Values of one kind, that are no table and no array."""

    @abstractmethod
    def read(self, raw: Any, base: Path) -> Any:
        """The value. Raises ValueError with what it must be. `base`: what paths begin at."""

    def write(self, value: Any) -> Any:
        """The value as TOML would hold it."""
        return value


class Switch(Kind):
    def read(self, raw: Any, base: Path) -> bool:
        if not isinstance(raw, bool):
            raise ValueError(f"must be true or false, not {shown(raw)}")
        return raw


@dataclass(frozen=True)
class Whole(Kind):
    bounds: Range

    def read(self, raw: Any, base: Path) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise ValueError(f"must be a whole number, not {shown(raw)}")
        _check_number(raw, self.bounds)
        return raw


@dataclass(frozen=True)
class Number(Kind):
    bounds: Range

    def read(self, raw: Any, base: Path) -> float:
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise ValueError(f"must be a number, not {shown(raw)}")
        _check_number(raw, self.bounds)
        return float(raw)


@dataclass(frozen=True)
class Size(Kind):
    """A number of bytes."""

    bounds: Range

    def read(self, raw: Any, base: Path) -> int:
        num_bytes: int = _converted(size_bytes, raw)
        if num_bytes not in self.bounds:
            least, most = (size_text(int(end)) for end in (self.bounds.low, self.bounds.high))
            raise ValueError(f"must be {least} to {most}, not {shown(raw)}")
        return num_bytes

    def write(self, value: int) -> str:
        return size_text(value)


@dataclass(frozen=True)
class Duration(Kind):
    """A number of seconds."""

    bounds: Range

    def read(self, raw: Any, base: Path) -> float | None:
        seconds: float = _converted(duration_s, raw)
        if seconds not in self.bounds:
            least, most = (duration_text(end) for end in (self.bounds.low, self.bounds.high))
            above = "above " if self.bounds.above else ""
            raise ValueError(f"must be {above}{least} to {most}, not {shown(raw)}")
        return seconds

    def write(self, value: Any) -> str:
        return duration_text(value)


class KeepAlive(Duration):
    """A duration that may have no end, which is None."""

    def read(self, raw: Any, base: Path) -> float | None:
        return None if raw == FOREVER else super().read(raw, base)

    def write(self, value: Any) -> str:
        return FOREVER if value is None else super().write(value)


@dataclass(frozen=True)
class Word(Kind):
    """One of a few words."""

    words: Sequence[str]

    def read(self, raw: Any, base: Path) -> Any:
        if raw not in self.words:
            near = near_miss(raw, self.words) if isinstance(raw, str) else ""
            expected = ", ".join(map(written, self.words))
            raise ValueError(f"must be one of {expected}, not {shown(raw)}{near}")
        return raw


@dataclass(frozen=True)
class Choice(Kind):
    """One of an enum's values."""

    of: type[Enum]

    def read(self, raw: Any, base: Path) -> Enum:
        return self.of(Word([str(member.value) for member in self.of]).read(raw, base))

    def write(self, value: Enum) -> Any:
        return value.value


@dataclass(frozen=True)
class Text(Kind):
    max_bytes: int = MAX_PATH_BYTES

    def read(self, raw: Any, base: Path) -> str:
        if not isinstance(raw, str):
            raise ValueError(f"must be a text, not {shown(raw)}")
        if not 0 < len(raw.encode()) <= self.max_bytes:
            raise ValueError(f"must be 1 to {self.max_bytes} bytes, not {len(raw.encode())}")
        return raw


class Name(Kind):
    """A device's name."""

    def read(self, raw: Any, base: Path) -> str:
        text = Text(MAX_NAME_BYTES).read(raw, base)
        if not text.isprintable():
            raise ValueError("must not have control characters")
        return text


class Id(Kind):
    """What calls name a model by."""

    def read(self, raw: Any, base: Path) -> str:
        if not isinstance(raw, str) or not MODEL_ID.fullmatch(raw):
            raise ValueError(f"{MODEL_ID_RULE}; it is {shown(raw)}")
        return raw


@dataclass(frozen=True)
class TokenId(Kind):
    """A token's number, as the key it is written as."""

    def read(self, raw: Any, base: Path) -> int:
        if not re.fullmatch(r"\d{1,9}", raw):
            raise ValueError("must be the number of a token")
        return int(raw)

    def write(self, value: int) -> str:
        return str(value)


def near_miss(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The one of `known` that was probably meant, as the end of a sentence; empty for none."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def shown(raw: Any) -> str:
    """A bad value in a message: tables and arrays by their kind, the rest as written, cut."""
    match raw:
        case dict():
            return "a table"
        case list():
            return "an array"
        case str() if len(raw) > 64:
            return f"{written(raw[:64])}..."
        case _:
            return written(raw)


def _converted(convert: Any, raw: Any) -> Any:
    try:
        return convert(raw)
    except ValueError as error:
        raise ValueError(f"{error}, not {shown(raw)}") from error


def _check_number(value: float, bounds: Range) -> None:
    """As the contract's edge checks it, in the same words."""
    check = Checker()
    check.number(value, bounds, "")
    try:
        check.close()
    except InvalidFields as error:
        raise ValueError(error.violations[0].why) from None
