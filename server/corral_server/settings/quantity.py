"""Sizes and durations as people write them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Any

_QUANTITY = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([A-Za-z]*)")

_SIZES = {
    "TiB": 2**40,
    "GiB": 2**30,
    "MiB": 2**20,
    "KiB": 2**10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 10**3,
    "B": 1,
}
_DURATIONS = {
    "d": Fraction(86400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
}


def size_bytes(raw: Any) -> int:
    """The bytes of "8 GiB", "500 MB" or a number of bytes. Raises ValueError."""
    units = {name.lower(): Fraction(factor) for name, factor in _SIZES.items()}
    return int(_quantity(raw, units, 'a size such as "8 GiB" or "500 MB", or a number of bytes'))


def duration_s(raw: Any) -> float:
    """The seconds of "30s", "10m", "2h", "1d", "500ms" or a number of seconds. Raises
    ValueError."""
    expected = 'a duration such as "30s", "10m" or "2h", or a number of seconds'
    return float(_quantity(raw, _DURATIONS, expected))


def _quantity(raw: Any, units: Mapping[str, Fraction], expected: str) -> Fraction:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and isfinite(raw):
        return Fraction(raw)
    match = _QUANTITY.fullmatch(raw.strip()) if isinstance(raw, str) else None
    unit = match and {"": Fraction(1), **units}.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError(f"must be {expected}")
    return Fraction(match[1]) * unit


def size_text(num_bytes: int) -> str:
    """A size in the largest unit it is a whole number of. Example: 8 GiB."""
    binary = ((name, factor) for name, factor in _SIZES.items() if "i" in name)
    for name, factor in binary:
        if num_bytes and num_bytes % factor == 0:
            return f"{num_bytes // factor} {name}"
    return f"{num_bytes} B"


def duration_text(seconds: float) -> str:
    """A duration in the largest unit it is a whole number of, else in seconds. Example: 10m."""
    for name, factor in _DURATIONS.items():
        if seconds and factor >= 1 and Fraction(seconds) % factor == 0:
            return f"{int(Fraction(seconds) / factor)}{name}"
    return f"{Decimal(repr(seconds)).normalize():f}s"
