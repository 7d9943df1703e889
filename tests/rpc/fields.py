"""Which fields of a request are refused, and the values next to a bound."""

import math
import struct
from collections.abc import Callable
from typing import Any

from corral_server.errors import InvalidFields
from corral_server.rpc.limits import Range


def bad_fields(convert: Callable[..., Any], *arguments: Any) -> list[str]:
    """The fields that are refused; none if the request is taken."""
    try:
        convert(*arguments)
    except InvalidFields as error:
        return [violation.field for violation in error.violations]
    return []


def edges(bounds: Range, *, whole: bool) -> tuple[list[float], list[float]]:
    """Values in `bounds` and values out of them, as near to the edges as the field can hold."""
    below, above = (
        (bounds.low - 1, bounds.high + 1)
        if whole
        else (_next_float(bounds.low, down=True), _next_float(bounds.high, down=False))
    )
    inside, outside = [bounds.high], [below, above]
    (outside if bounds.above else inside).append(bounds.low)
    if not whole:
        outside += [math.nan, math.inf, -math.inf]
    return inside, outside


def _next_float(value: float, *, down: bool) -> float:
    """The neighbour of `value` that a protobuf float can hold."""
    if value == 0:
        return -1e-45 if down else 1e-45
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    away = (value < 0) == down
    (next_to,) = struct.unpack("<f", struct.pack("<i", bits + (1 if away else -1)))
    return float(next_to)
