"""The header of one GGUF file: what it says of the model, and that its bytes can hold what it says.

Of the tensor data no more than the length is looked at. Nothing but a regular file is ever opened,
so nothing blocks.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from corral_server.engine.gguf_cursor import MAX_HEADER_BYTES, Cursor, ValueType
from corral_server.engine.gguf_metadata import Metadata, read_metadata
from corral_server.engine.gguf_tensor import Tensor, read_tensor
from corral_server.errors import ModelFileInvalid, ModelFileNotFound

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 65536
MAX_BLOCKS = 512  # llama.cpp: LLAMA_MAX_LAYERS, above which it aborts
DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What one file says of itself. `None` where it says nothing.

    A shard that is not the first holds tensors only: its architecture is empty. The tensors and
    parameters are those of this file.
    """

    path: Path
    file_bytes: int
    version: int
    architecture: str
    name: str | None
    context_length: int | None
    block_count: int | None
    embedding_length: int | None
    vocab_size: int | None
    merge_count: int
    tokenizer: str | None
    file_type: int | None
    chat_template: str | None
    split_no: int
    split_count: int
    tensor_count: int
    parameter_count: int
    tensor_bytes: dict[str, int]


def read_header(path: Path) -> GgufHeader:
    """The checked header of the file at `path`. Raises ModelFileNotFound or ModelFileInvalid."""
    with _open_window(path) as cursor:
        version = _read_version(cursor)
        num_tensors = cursor.count("tensors", MAX_TENSORS)
        metadata = read_metadata(cursor)
        tensors = _read_tensors(cursor, num_tensors, _alignment(metadata))
        split_no, split_count = _split(metadata)
        architecture = _architecture(metadata) if split_no == 0 else ""
        return GgufHeader(
            path=path,
            file_bytes=cursor.file_bytes,
            version=version,
            architecture=architecture,
            name=metadata.text("general.name"),
            context_length=metadata.integer(f"{architecture}.context_length"),
            block_count=_block_count(metadata, architecture),
            embedding_length=metadata.integer(f"{architecture}.embedding_length"),
            vocab_size=_vocab_size(metadata, architecture),
            merge_count=metadata.array_length("tokenizer.ggml.merges") or 0,
            tokenizer=metadata.text("tokenizer.ggml.model"),
            file_type=metadata.integer("general.file_type"),
            chat_template=metadata.text("tokenizer.chat_template"),
            split_no=split_no,
            split_count=split_count,
            tensor_count=len(tensors),
            parameter_count=sum(tensor.num_elements for tensor in tensors),
            tensor_bytes={tensor.name: tensor.num_bytes for tensor in tensors},
        )


@contextmanager
def _open_window(path: Path) -> Iterator[Cursor]:
    try:
        _require_regular(path.name, os.stat(path))
        # Without O_NONBLOCK a FIFO put here since the check would hang us; it is checked again.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            _require_regular(path.name, status)
            window_bytes = min(status.st_size, MAX_HEADER_BYTES)
            window = mmap(file.fileno(), window_bytes, access=ACCESS_READ)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileNotFound(f"{path.name}: there is no such file", file=path.name) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelFileInvalid(f"{path.name}: it cannot be read: {why}", file=path.name) from error
    with window:
        yield Cursor(window, path.name, status.st_size)


def _require_regular(name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ModelFileInvalid(f"{name}: it is a directory", file=name)
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileInvalid(f"{name}: it is a device, pipe or socket, not a file", file=name)
    if status.st_size == 0:
        raise ModelFileInvalid(f"{name}: it is empty", file=name)


def _read_version(cursor: Cursor) -> int:
    magic = cursor.take(len(MAGIC))
    if magic != MAGIC:
        raise cursor.invalid(f"it is no GGUF file: it starts with {magic!r}, not {MAGIC!r}")
    version = cursor.u32()
    if version and not version & 0xFFFF:
        raise cursor.invalid("it is big-endian, only little-endian files are supported")
    if version not in VERSIONS:
        raise cursor.invalid(f"it is of GGUF version {version}, supported are versions 2 and 3")
    return version


def _read_tensors(cursor: Cursor, num_tensors: int, alignment: int) -> list[Tensor]:
    """All tensors, which lie in the data section in their order and without a gap."""
    tensors: dict[str, Tensor] = {}
    offset = data_bytes = 0
    for _ in range(num_tensors):
        tensor = read_tensor(cursor)
        if tensor.name in tensors:
            raise cursor.invalid(f"it has the tensor {tensor.name!r} twice")
        if tensor.offset != offset:
            raise cursor.invalid(
                f"tensor {tensor.name!r} is said to lie at byte {tensor.offset} of the data,"
                f" its place is {offset}"
            )
        tensors[tensor.name] = tensor
        data_bytes = offset + tensor.num_bytes
        offset = _aligned(data_bytes, alignment)
    if tensors:
        _require_bytes(cursor, _aligned(cursor.position, alignment) + data_bytes)
    return list(tensors.values())


def _require_bytes(cursor: Cursor, needed: int) -> None:
    missing = needed - cursor.file_bytes
    if missing > 0:
        raise cursor.invalid(f"it is cut short: {missing} of {needed} bytes are missing")


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _alignment(metadata: Metadata) -> int:
    """Where tensors may start: at multiples of this power of two."""
    alignment = metadata.integer("general.alignment", of_type=ValueType.UINT32)
    if alignment is None:
        return DEFAULT_ALIGNMENT
    if alignment.bit_count() != 1:
        raise metadata.cursor.invalid(f"its alignment {alignment} is not a power of two")
    return alignment


def _split(metadata: Metadata) -> tuple[int, int]:
    """This file's number in its split set, from 0 on, and the size of the set."""
    # llama.cpp aborts on a split.no of any other type.
    number = metadata.integer("split.no", of_type=ValueType.UINT16) or 0
    count = metadata.integer("split.count", of_type=ValueType.UINT16) or 1
    if number >= count:
        raise metadata.cursor.invalid(f"it says it is shard {number + 1} of {count}")
    return number, count


def _architecture(metadata: Metadata) -> str:
    architecture = metadata.text("general.architecture")
    if not architecture:
        raise metadata.cursor.invalid("it does not say its architecture (general.architecture)")
    return architecture


def _block_count(metadata: Metadata, architecture: str) -> int | None:
    count = metadata.integer(f"{architecture}.block_count")
    if count is not None and not 1 <= count <= MAX_BLOCKS:
        raise metadata.cursor.invalid(f"it claims {count} blocks, 1 to {MAX_BLOCKS} are possible")
    return count


def _vocab_size(metadata: Metadata, architecture: str) -> int | None:
    size = metadata.array_length("tokenizer.ggml.tokens")
    return metadata.integer(f"{architecture}.vocab_size") if size is None else size
