"""Golden bytes: Python's stubs read them all, each message has some, and none ever changes."""

import importlib
import json
import re
import shutil
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

import corral.v1
from contract.descriptors import PROTO, compile_contract, messages_of
from contract.golden import GOLDEN, golden_faults, message_name, write_golden

STUBS = [
    importlib.import_module(f"corral.v1.{file.stem}")
    for file in sorted(Path(next(iter(corral.v1.__path__))).glob("*_pb2.py"))
]
FILES = sorted(GOLDEN.glob("*.binpb"))


def stub(name: str) -> type[Message]:
    """The generated class of the message called `name`."""
    simple = name.removeprefix("corral.v1.")
    found: type[Message]
    (found,) = {getattr(module, simple) for module in STUBS if hasattr(module, simple)}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_stubs_read_and_write_golden_bytes(file: Path) -> None:
    kept = file.read_bytes()
    message = stub(message_name(file)).FromString(kept)
    expected = json.loads(file.with_suffix(".json").read_text())
    assert json_format.MessageToDict(message) == expected
    assert message.SerializeToString(deterministic=True) == kept
    message.DiscardUnknownFields()
    assert message.ByteSize() == len(kept)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_stubs_read_golden_json(file: Path) -> None:
    message = stub(message_name(file))()
    json_format.Parse(file.with_suffix(".json").read_text(), message)
    assert message.SerializeToString(deterministic=True) == file.read_bytes()


@pytest.fixture(scope="module")
def contract() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(compile_contract())


def test_every_message_field_and_arm_has_golden_bytes(contract: FileDescriptorSet) -> None:
    assert golden_faults(contract) == []
    assert {message_name(file) for file in FILES} == {m.full_name for m in messages_of(contract)}


def test_every_file_has_both_forms() -> None:
    binary = {file.stem for file in FILES}
    assert {file.stem for file in GOLDEN.glob("*.json")} == binary
    assert len(list(GOLDEN.iterdir())) == 2 * len(binary)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("corral.v1.Model.binpb", "corral.v1.Model"),
        ("corral.v1.Model.memory.binpb", "corral.v1.Model"),
        ("corral.v1.Model.x.y2.binpb", "corral.v1.Model"),
        ("corral.v1.Outer.Inner.binpb", "corral.v1.Outer.Inner"),
    ],
)
def test_the_name_of_a_file_names_its_message(file: str, message: str) -> None:
    assert message_name(Path(file)) == message


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    """A copy of the contract and its golden bytes."""
    return Path(shutil.copytree(PROTO, tmp_path / "proto"))


def edited(proto: Path, file: str, pattern: str, replacement: str) -> FileDescriptorSet:
    """The contract with one edit."""
    path = proto / "corral" / "v1" / file
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count
    path.write_text(text)
    return FileDescriptorSet.FromString(compile_contract(proto))


def test_the_same_contract_gives_the_same_bytes(
    contract: FileDescriptorSet, tmp_path: Path
) -> None:
    first = [file.read_bytes() for file in write_golden(contract, tmp_path / "first")]
    assert first == [file.read_bytes() for file in write_golden(contract, tmp_path / "second")]
    assert len(first) == len(FILES)


def test_writing_again_writes_nothing(contract: FileDescriptorSet, proto: Path) -> None:
    assert write_golden(contract, proto / "golden") == []


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "new"),
    [
        ("usage.proto", "message Usage {", "message Usage { bool late = 90;", ["Usage.late"]),
        ("usage.proto", "message Usage {", "message Cost {} message Usage {", ["Cost"]),
        (
            "embedding.proto",
            "oneof input {",
            "oneof input { bytes image = 90;",
            ["EmbedInput.image"],
        ),
        (
            "usage.proto",
            "message Usage {",
            "message Usage { bool late = 90; bool later = 91;",
            ["Usage.late"],
        ),
    ],
)
def test_an_addition_gets_bytes_of_its_own(
    proto: Path, file: str, pattern: str, replacement: str, new: list[str]
) -> None:
    grown = edited(proto, file, pattern, replacement)
    golden = proto / "golden"
    assert golden_faults(grown, golden) == [f"corral.v1.{name} has no golden bytes" for name in new]
    before = {path: path.read_bytes() for path in golden.iterdir()}
    written = write_golden(grown, golden)
    assert [path.stem for path in written] == [f"corral.v1.{name}" for name in new]
    assert golden_faults(grown, golden) == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "fault"),
    [
        (
            "usage.proto",
            r"  int32 cached_tokens = 3;\n",
            "",
            "corral.v1.Usage.binpb no longer reads",
        ),
        ("usage.proto", "int32 cached", "string cached", "corral.v1.Usage.binpb no longer"),
        ("usage.proto", "cached_tokens = 3", "reused = 3", "corral.v1.Usage.binpb no longer reads"),
        ("usage.proto", "int32 cached", "sint32 cached", "corral.v1.Usage.binpb no longer reads"),
        (
            "chat.proto",
            "ROLE_SYSTEM = 1",
            "ROLE_SYS = 1",
            "corral.v1.Message.binpb no longer reads",
        ),
    ],
)
def test_an_edit_that_reads_kept_bytes_otherwise_is_found(
    proto: Path, file: str, pattern: str, replacement: str, fault: str
) -> None:
    broken = edited(proto, file, pattern, replacement)
    assert any(found.startswith(fault) for found in golden_faults(broken, proto / "golden"))


def test_golden_bytes_with_something_unknown_are_found(
    contract: FileDescriptorSet, proto: Path
) -> None:
    file = proto / "golden" / "corral.v1.Usage.binpb"
    file.write_bytes(file.read_bytes() + b"\x98\x06\x01")
    assert golden_faults(contract, proto / "golden") == [
        "corral.v1.Usage.binpb has fields the contract does not know, or is written otherwise now"
    ]


def test_golden_bytes_of_a_message_that_is_gone_are_found(
    contract: FileDescriptorSet, proto: Path
) -> None:
    (proto / "golden" / "corral.v1.Gone.binpb").touch()
    assert golden_faults(contract, proto / "golden") == [
        "corral.v1.Gone.binpb is of no message in the contract"
    ]
