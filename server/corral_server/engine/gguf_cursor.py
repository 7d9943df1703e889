"""A cursor over the first bytes of a GGUF file: numbers, strings and arrays, never past their end.

It trusts no length in the file: each is compared with its limit and with the bytes that are left
before anything is read or skipped. It knows no key and no tensor.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap

from corral_server.errors import ModelFileInvalid

MAX_HEADER_BYTES = 128 << 20  # the largest known are near 20 MiB
MAX_STRING_BYTES = 16 << 20
MAX_ARRAY_ELEMENTS = 64 << 20


class ValueType(IntEnum):
    """The type of a metadata value, as the file numbers it."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


@dataclass(frozen=True, slots=True)
class Value:
    """A metadata value. Of an array only the number of its elements is kept, as the content."""

    type: ValueType
    content: int | float | bytes


U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")

NUMBERS = {
    ValueType.UINT8: struct.Struct("<B"),
    ValueType.INT8: struct.Struct("<b"),
    ValueType.UINT16: struct.Struct("<H"),
    ValueType.INT16: struct.Struct("<h"),
    ValueType.UINT32: U32,
    ValueType.INT32: struct.Struct("<i"),
    ValueType.FLOAT32: struct.Struct("<f"),
    ValueType.BOOL: struct.Struct("<?"),
    ValueType.UINT64: U64,
    ValueType.INT64: struct.Struct("<q"),
    ValueType.FLOAT64: struct.Struct("<d"),
}


class Cursor:
    """Reads forward from the start of a file mapped up to `MAX_HEADER_BYTES`."""

    def __init__(self, mapped: mmap, file_name: str, file_bytes: int) -> None:
        self.position = 0
        self.file_bytes = file_bytes
        self._mapped = mapped
        self._end = len(mapped)
        self._file_name = file_name

    def invalid(self, why: str) -> ModelFileInvalid:
        """The error to raise for what was found in this file."""
        return ModelFileInvalid(f"{self._file_name}: {why}", file=self._file_name)

    def skip(self, num_bytes: int) -> int:
        """Move on by `num_bytes`, all of which are there; returns where they start."""
        start = self.position
        if num_bytes > self._end - start:
            raise self._too_short(start + num_bytes)
        self.position = start + num_bytes
        return start

    def take(self, num_bytes: int) -> bytes:
        start = self.skip(num_bytes)
        return self._mapped[start : self.position]

    def u32(self) -> int:
        return int(U32.unpack_from(self._mapped, self.skip(4))[0])

    def u64(self) -> int:
        return int(U64.unpack_from(self._mapped, self.skip(8))[0])

    def count(self, what: str, limit: int) -> int:
        """A 64-bit number that counts `what`, at most `limit` of them."""
        count = self.u64()
        if count > limit:
            raise self.invalid(f"it claims {count} {what}, the limit is {limit}")
        return count

    def string(self, what: str, limit: int = MAX_STRING_BYTES) -> bytes:
        return self.take(self.count(f"bytes in {what}", limit))

    def text(self, what: str, limit: int) -> str:
        """A string that has to be UTF-8, for it will be shown."""
        raw = self.string(what, limit)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.invalid(f"{what} {raw!r:.80} is not UTF-8 text") from error

    def value(self, key: str) -> Value:
        """The value that follows `key`, its type first."""
        kind = self._value_type(key)
        if kind is ValueType.ARRAY:
            return Value(kind, self._skip_array(key))
        if kind is ValueType.STRING:
            return Value(kind, self.string(f"the value of {key!r:.80}"))
        number = NUMBERS[kind]
        return Value(kind, number.unpack_from(self._mapped, self.skip(number.size))[0])

    def _value_type(self, key: str) -> ValueType:
        kind = self.u32()
        if kind >= len(ValueType):
            raise self.invalid(f"key {key!r:.80} has the unknown type {kind}")
        return ValueType(kind)

    def _skip_array(self, key: str) -> int:
        kind = self._value_type(key)
        if kind is ValueType.ARRAY:
            raise self.invalid(f"key {key!r:.80} holds arrays within an array")
        count = self.count(f"elements in {key!r:.80}", MAX_ARRAY_ELEMENTS)
        if kind is ValueType.STRING:
            self._skip_strings(key, count)
        else:
            self.skip(count * NUMBERS[kind].size)
        return count

    def _skip_strings(self, key: str, count: int) -> None:
        # The one loop that matters: a vocabulary has up to 300,000 strings and its merges again.
        unpack, mapped, position = U64.unpack_from, self._mapped, self.position
        try:
            for _ in range(count):
                (length,) = unpack(mapped, position)
                if length > MAX_STRING_BYTES:
                    raise self.invalid(f"a string in {key!r:.80} claims {length} bytes")
                position += 8 + length
        except struct.error:
            raise self._too_short(position + 8) from None
        self.skip(position - self.position)

    def _too_short(self, needed: int) -> ModelFileInvalid:
        if needed > self.file_bytes:
            return self.invalid(
                f"it is cut short within its header: {self.file_bytes} bytes, at least"
                f" {needed - self.file_bytes} are missing"
            )
        return self.invalid(f"its header is longer than {MAX_HEADER_BYTES} bytes")
