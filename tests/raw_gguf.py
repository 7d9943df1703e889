"""GGUF files put together by hand, so that every part can be wrong."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

UINT32, STRING, ARRAY, UINT64 = 4, 8, 9, 10
F32, Q4_0 = 0, 2
ALIGNMENT = 32


@dataclass(frozen=True, kw_only=True)
class RawGguf:
    """The parts of a file as bytes; the counts are those of the parts unless given."""

    magic: bytes = b"GGUF"
    version: int = 3
    num_tensors: int | None = None
    num_keys: int | None = None
    keys: Sequence[bytes] = field(default_factory=lambda: [raw_architecture()])
    tensors: Sequence[bytes] = ()
    data: bytes = b""

    def to_bytes(self) -> bytes:
        num_tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        num_keys = len(self.keys) if self.num_keys is None else self.num_keys
        counts = struct.pack("<IQQ", self.version, num_tensors, num_keys)
        header = self.magic + counts + b"".join(self.keys) + b"".join(self.tensors)
        padding = bytes(-len(header) % ALIGNMENT) if self.tensors else b""
        return header + padding + self.data


def raw_string(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def raw_key(key: bytes, value_type: int, value: bytes) -> bytes:
    return raw_string(key) + struct.pack("<I", value_type) + value


def raw_u32(key: bytes, value: int) -> bytes:
    return raw_key(key, UINT32, struct.pack("<I", value))


def raw_text(key: bytes, value: bytes) -> bytes:
    return raw_key(key, STRING, raw_string(value))


def raw_array(key: bytes, element_type: int, count: int, elements: bytes = b"") -> bytes:
    return raw_key(key, ARRAY, struct.pack("<IQ", element_type, count) + elements)


def raw_architecture() -> bytes:
    return raw_text(b"general.architecture", b"llama")


def raw_tensor(
    name: bytes = b"t", shape: Sequence[int] = (8,), tensor_type: int = F32, offset: int = 0
) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return raw_string(name) + dimensions + struct.pack("<IQ", tensor_type, offset)
