"""The metadata of a GGUF header: keys and values, and looking one up as the type it must have."""

from dataclasses import dataclass

from corral_server.engine.gguf_cursor import Cursor, Value, ValueType
from corral_server.errors import ModelFileInvalid

MAX_KEYS = 65536
MAX_KEY_BYTES = 65535

INTEGERS = frozenset(ValueType) - {
    ValueType.BOOL,
    ValueType.FLOAT32,
    ValueType.FLOAT64,
    ValueType.STRING,
    ValueType.ARRAY,
}


@dataclass(frozen=True, slots=True)
class Metadata:
    """Values by key, unique. A lookup gives `None` for an absent key and refuses a wrong type."""

    cursor: Cursor
    values: dict[str, Value]

    def integer(self, key: str, of_type: ValueType | None = None) -> int | None:
        """A number from 0 on; of just `of_type` where that is given."""
        value = self.values.get(key)
        if value is None:
            return None
        if value.type not in (INTEGERS if of_type is None else {of_type}):
            raise self._wrong_type(key, value, "an integer" if of_type is None else of_type.name)
        number = int(value.content)
        if number < 0:
            raise self.cursor.invalid(f"{key!r:.80} is {number}")
        return number

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value.content, bytes):
            raise self._wrong_type(key, value, "a string")
        return value.content.decode(errors="replace")

    def array_length(self, key: str) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if value.type is not ValueType.ARRAY:
            raise self._wrong_type(key, value, "an array")
        return int(value.content)

    def _wrong_type(self, key: str, value: Value, expected: str) -> ModelFileInvalid:
        return self.cursor.invalid(f"{key!r:.80} is {value.type.name} and has to be {expected}")


def read_metadata(cursor: Cursor) -> Metadata:
    """All keys and values, which come before the tensors."""
    values: dict[str, Value] = {}
    for _ in range(cursor.count("keys", MAX_KEYS)):
        key = cursor.text("a key", MAX_KEY_BYTES)
        if not key:
            raise cursor.invalid("it has an empty key")
        if key in values:
            raise cursor.invalid(f"it has the key {key!r:.80} twice")
        values[key] = cursor.value(key)
    return Metadata(cursor, values)
