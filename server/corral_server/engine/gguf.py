"""The files of a model, checked before llama.cpp sees them: on some that lie it aborts.

A model is one GGUF file, or a split set of them named NAME-00001-of-0000N.gguf in one folder.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from corral_server.engine.gguf_header import GgufHeader, read_header
from corral_server.errors import ModelFileInvalid, ModelFileNotFound

__all__ = ["GgufHeader", "ModelFiles", "read_header", "read_model_files"]

SHARD_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files in order, none missing. What they say of the model, the first one says."""

    headers: tuple[GgufHeader, ...]

    @property
    def first(self) -> GgufHeader:
        return self.headers[0]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(header.path for header in self.headers)

    @property
    def total_bytes(self) -> int:
        return sum(header.file_bytes for header in self.headers)

    @property
    def tensor_count(self) -> int:
        return sum(header.tensor_count for header in self.headers)

    @property
    def parameter_count(self) -> int:
        return sum(header.parameter_count for header in self.headers)

    @property
    def tensor_bytes(self) -> dict[str, int]:
        """The size of every tensor, by name."""
        return {name: size for header in self.headers for name, size in header.tensor_bytes.items()}


def read_model_files(path: Path) -> ModelFiles:
    """The model in `path`, with its other shards where it is the first of a split set.

    Raises ModelFileNotFound, naming the file or shard that is missing, or ModelFileInvalid.
    """
    first = read_header(path)
    prefix = _shard_prefix(first) if first.split_count > 1 else ""
    if first.split_no > 0:
        name = _shard_name(prefix, 0, first.split_count)
        raise _invalid(path, f"it is shard {first.split_no + 1}; give the first, {name}")
    later = (_read_shard(first, prefix, number) for number in range(1, first.split_count))
    return ModelFiles((first, *later))


def _shard_name(prefix: str, number: int, count: int) -> str:
    return f"{prefix}-{number + 1:05}-of-{count:05}.gguf"


def _shard_prefix(header: GgufHeader) -> str:
    """The NAME of a shard's file name, the rest of which has to say what the header says."""
    matched = SHARD_NAME.fullmatch(header.path.name)
    prefix = matched[1] if matched else "NAME"
    name = _shard_name(prefix, header.split_no, header.split_count)
    if header.path.name != name:
        raise _invalid(header.path, f"by its header it has to be named like {name}")
    return prefix


def _read_shard(first: GgufHeader, prefix: str, number: int) -> GgufHeader:
    path = first.path.with_name(_shard_name(prefix, number, first.split_count))
    try:
        shard = read_header(path)
    except ModelFileNotFound as error:
        raise ModelFileNotFound(f"{path.name}: this shard is missing", file=path.name) from error
    if (shard.split_no, shard.split_count) != (number, first.split_count):
        raise _invalid(path, f"it says it is shard {shard.split_no + 1} of {shard.split_count}")
    return shard


def _invalid(path: Path, why: str) -> ModelFileInvalid:
    return ModelFileInvalid(f"{path.name}: {why}", file=path.name)
