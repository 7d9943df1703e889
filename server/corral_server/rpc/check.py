"""Collects everything that is wrong with a request, so that the caller hears all of it at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from corral_server.errors import FieldViolation, InvalidFields
from corral_server.rpc.limits import MAX_PATH_BYTES, Range


class Checker:
    """Every method notes what is wrong with one field and never raises; `close` does."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    def bad(self, field: str, why: str) -> None:
        self._violations.append(FieldViolation(field, why))

    def require(self, good: bool, field: str, why: str) -> None:
        if not good:
            self.bad(field, why)

    def number(self, value: float, bounds: Range, field: str) -> None:
        self.require(value in bounds, field, f"must be {bounds}, not {value:.15g}")

    def numbers(self, message: Message, bounds: Mapping[str, Range], prefix: str) -> dict[str, Any]:
        """The fields of `bounds` that are set in `message`."""
        values = {name: getattr(message, name) for name in bounds if message.HasField(name)}
        for name, value in values.items():
            self.number(value, bounds[name], prefix + name)
        return values

    def seconds(self, duration: Duration, bounds: Range, field: str) -> float:
        """The seconds of `duration`."""
        seconds = (duration.seconds * 10**9 + duration.nanos) / 1e9
        self.number(seconds, bounds, field)
        return seconds

    def count(self, items: Sequence[Any] | Mapping[Any, Any], most: int, field: str) -> None:
        self.require(
            len(items) <= most, field, f"must have at most {most} entries, has {len(items)}"
        )

    def size(self, text: str, most: int, field: str) -> None:
        # Characters bound bytes from below, so most texts are never encoded for this.
        length = len(text) if len(text) > most or len(text) * 4 <= most else len(text.encode())
        self.require(length <= most, field, f"must be at most {most} bytes, has {length} or more")

    def choice(self, value: int, known: Mapping[Any, Any], field: str) -> Any:
        """`value` if it is one of `known`; 0, which means "not set", where it is not."""
        self.require(value == 0 or value in known, field, f"{value} is no value known here")
        return value if value in known else 0

    def label(self, text: str, most: int, field: str) -> None:
        """A name that the caller makes up, of `most` characters at most."""
        length = len(text)
        self.require(length <= most, field, f"must be at most {most} characters, has {length}")
        self.require(text.isprintable(), field, "must be printable")

    def path(self, path: str, field: str) -> None:
        """An absolute path. Where it leads is not looked at."""
        self.size(path, MAX_PATH_BYTES, field)
        self.require(path.startswith("/"), field, "must be an absolute path")
        self.require(path.isprintable(), field, "must not have control characters")

    def json(self, text: str, kind: type, field: str) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.bad(field, f"must be JSON: {error}")
        else:
            self.require(isinstance(value, kind), field, "must be a JSON object")

    def close(self) -> None:
        """Raises InvalidFields if anything was wrong."""
        if self._violations:
            raise InvalidFields.of(*self._violations)
