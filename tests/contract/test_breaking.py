"""The gate refuses what breaks a promise, and lets additions pass."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contract.breaking import broken_promises
from contract.descriptors import PROTO, compile_contract


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    """A copy of the contract outside any clone, released as it is."""
    copy = tmp_path / "proto"
    shutil.copytree(PROTO, copy, ignore=shutil.ignore_patterns("released"))
    (copy / "released").mkdir()
    (copy / "released" / "v1.0.0.binpb").write_bytes(compile_contract(copy))
    return copy


def edit(proto: Path, file: str, pattern: str, replacement: str) -> None:
    path = proto / "corral" / "v1" / file
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count, f"{pattern} is not in {file}"
    path.write_text(text)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_contract_keeps_its_promises() -> None:
    assert broken_promises() == []


BREAKING = {
    "a field is removed": ("usage.proto", r"  int32 cached_tokens = 3;\n", ""),
    "a field is removed and reserved": (
        "usage.proto",
        r"int32 cached_tokens = 3;",
        'reserved 3;\n  reserved "cached_tokens";',
    ),
    "a field has another type": ("usage.proto", r"int32 cached_tokens", "int64 cached_tokens"),
    "a field has another name": ("usage.proto", r"cached_tokens = 3", "reused_tokens = 3"),
    "a field has another number": ("usage.proto", r"cached_tokens = 3", "cached_tokens = 9"),
    "a field has another JSON name": (
        "usage.proto",
        r"cached_tokens = 3",
        'cached_tokens = 3 [json_name = "reused"]',
    ),
    "a field is no longer optional": ("chat.proto", r"optional bool enable", "bool enable"),
    "a field becomes optional": ("usage.proto", r"int32 cached", "optional int32 cached"),
    "a field becomes repeated": ("usage.proto", r"int32 cached", "repeated int32 cached"),
    "an arm leaves its oneof": (
        "embedding.proto",
        r"(?s)    // Tokens, taken as they are; at least one.\n    TokenIds tokens = 2;\n  }",
        "  }\n  // Tokens.\n  TokenIds tokens = 2;",
    ),
    "an enum value is removed": ("chat.proto", r"  ROLE_TOOL = 4;\n", ""),
    "an enum value has another name": ("chat.proto", r"ROLE_TOOL = 4", "ROLE_RESULT = 4"),
    "a call streams": ("server.proto", r"returns \(GetLoad", "returns (stream GetLoad"),
    "a call is removed": ("server.proto", r"  rpc GetLoad\(.*\n", ""),
    "a call takes another request": ("server.proto", r"GetLoad\(GetLoad", "GetLoad(GetServerInfo"),
    "generated code moves": ("server.proto", r"dev\.corral\.v1", "dev.corral.other"),
}


@pytest.mark.parametrize(("file", "pattern", "replacement"), BREAKING.values(), ids=BREAKING)
def test_a_break_is_refused(proto: Path, file: str, pattern: str, replacement: str) -> None:
    edit(proto, file, pattern, replacement)
    assert broken_promises(proto) != []


ADDITIONS = {
    "a field": ("usage.proto", r"int32 cached", "int32 drafted_tokens = 90;\n  int32 cached"),
    "an optional field": (
        "chat.proto",
        r"string name = 5;",
        "string name = 5; optional bool x = 90;",
    ),
    "an enum value": ("chat.proto", r"ROLE_TOOL = 4;", "ROLE_TOOL = 4;\n  ROLE_CRITIC = 5;"),
    "an arm": ("embedding.proto", r"TokenIds tokens = 2;", "TokenIds tokens = 2; bytes image = 3;"),
    "a message": ("usage.proto", r"// The tokens of", "message Cost {}\n\n// The tokens of"),
    "a call": (
        "server.proto",
        r"(  rpc GetLoad)",
        r"  rpc Drain(GetLoadRequest) returns (GetLoadResponse);\n\1",
    ),
    "a comment": ("usage.proto", r"// The tokens of", "// All tokens of"),
}


@pytest.mark.parametrize(("file", "pattern", "replacement"), ADDITIONS.values(), ids=ADDITIONS)
def test_an_addition_passes(proto: Path, file: str, pattern: str, replacement: str) -> None:
    edit(proto, file, pattern, replacement)
    assert broken_promises(proto) == []


def test_a_break_of_an_older_release_is_refused(proto: Path) -> None:
    edit(proto, "usage.proto", r"  int32 cached_tokens = 3;\n", "")
    (proto / "released" / "v1.1.0.binpb").write_bytes(compile_contract(proto))
    assert [fault.partition(":")[0] for fault in broken_promises(proto)] == ["v1.0.0"]


def test_files_that_do_not_compile_are_refused(proto: Path) -> None:
    edit(proto, "usage.proto", r"int32 cached_tokens", "int23 cached_tokens")
    assert "int23" in "".join(broken_promises(proto))


def test_a_promise_that_cannot_be_read_is_no_pass(proto: Path) -> None:
    (proto / "released" / "v1.0.0.binpb").write_bytes(b"not a descriptor set")
    with pytest.raises(RuntimeError, match="v1.0.0"):
        broken_promises(proto)


@pytest.fixture
def clone(proto: Path) -> Path:
    """The copy committed to a branch `main`, and nothing released."""
    shutil.rmtree(proto / "released")
    git(proto.parent, "init", "--quiet", "--initial-branch=main")
    git(proto.parent, "add", ".")
    git(proto.parent, "commit", "--quiet", "--message=The contract")
    return proto


def test_what_was_committed_is_promised(clone: Path) -> None:
    assert broken_promises(clone) == []
    edit(clone, "usage.proto", r"  int32 cached_tokens = 3;\n", "")
    assert [fault.partition(":")[0] for fault in broken_promises(clone)] == ["refs/heads/main"]


def test_a_tag_is_the_promise_where_there_is_one(clone: Path) -> None:
    git(clone.parent, "tag", "v1.0.0")
    edit(clone, "usage.proto", r"  int32 cached_tokens = 3;\n", "")
    git(clone.parent, "commit", "--quiet", "--all", "--message=A break")
    assert [fault.partition(":")[0] for fault in broken_promises(clone)] == ["v1.0.0"]


def test_golden_bytes_that_changed_are_refused(clone: Path) -> None:
    (clone / "golden" / "corral.v1.Usage.binpb").write_bytes(b"\x08\x01")
    (clone / "golden" / "corral.v1.Token.json").unlink()
    faults = "\n".join(broken_promises(clone))
    assert "golden/corral.v1.Usage.binpb" in faults
    assert "golden/corral.v1.Token.json" in faults


def test_golden_bytes_may_be_added(clone: Path) -> None:
    (clone / "golden" / "corral.v1.Usage.later.binpb").write_bytes(b"")
    assert broken_promises(clone) == []
