"""The contract as one file of descriptors, for tools that have no reflection and no proto files."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "proto"
DESCRIPTOR_SET = PROTO / "corral-v1.binpb"
PACKAGE = "corral.v1"
_STANDARD = (error_details_pb2, health_pb2)


def compile_contract(proto: Path = PROTO) -> bytes:
    """A FileDescriptorSet of all files of the package and all they import, comments included.

    What a call may also bring, error details and health, comes along. The same files give the same
    bytes. Raises CalledProcessError where they do not compile.
    """
    files = sorted(path.relative_to(proto) for path in proto.glob("corral/v1/*.proto"))
    with TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", "."]
        subprocess.run([*protoc, *options, *map(str, files)], cwd=proto, check=True)
        return out.read_bytes() + FileDescriptorSet(file=_standard_files()).SerializeToString()


def _standard_files() -> list[FileDescriptorProto]:
    """The files of others that no file of ours imports; they need nothing but our own imports."""
    files = [FileDescriptorProto() for _ in _STANDARD]
    for file, module in zip(files, _STANDARD, strict=True):
        module.DESCRIPTOR.CopyToProto(file)
    return files


def pool_of(descriptors: FileDescriptorSet) -> DescriptorPool:
    """A pool that knows these files and nothing else."""
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool


def messages_of(descriptors: FileDescriptorSet) -> Iterator[Descriptor]:
    """Every message of the package, files by name, messages as they stand in them."""
    pool = pool_of(descriptors)
    for file in descriptors.file:
        if file.package == PACKAGE:
            for message in file.message_type:
                yield from _with_nested(pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}"))


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            yield from _with_nested(nested)
