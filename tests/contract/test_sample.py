"""Samples of messages unlike those the contract has today."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract.descriptors import compile_contract, messages_of
from contract.golden import golden_faults, write_golden
from contract.sample import sample

PROTO = """
syntax = "proto3";
package corral.v1;
import "google/protobuf/duration.proto";
enum Answer { ANSWER_UNSPECIFIED = 0; ANSWER_YES = 1; }
message Tree {
  repeated Tree branches = 1;
  Tree parent = 2;
  Leaf leaf = 3;
}
message Leaf {
  Tree tree = 1;
  repeated Answer answers = 2;
  bytes raw = 5000;
  oneof one { int64 left = 7; string right = 8; }
  oneof two { bool up = 9; double down = 10; }
  optional float alone = 11;
  repeated google.protobuf.Duration waits = 12;
}
"""


@pytest.fixture
def contract(tmp_path: Path) -> FileDescriptorSet:
    folder = tmp_path / "corral" / "v1"
    folder.mkdir(parents=True)
    (folder / "tree.proto").write_text(PROTO)
    return FileDescriptorSet.FromString(compile_contract(tmp_path))


@pytest.fixture
def messages(contract: FileDescriptorSet) -> dict[str, Descriptor]:
    return {message.name: message for message in messages_of(contract)}


def names(message: Any) -> list[str]:
    """The fields that are set."""
    return [field.name for field, _ in message.ListFields()]


def test_a_message_within_itself_is_there_and_empty(messages: dict[str, Descriptor]) -> None:
    tree: Any = sample(messages["Tree"])
    assert [names(branch) for branch in tree.branches] == [[], []]
    assert tree.HasField("parent") and names(tree.parent) == []
    assert tree.leaf.HasField("tree") and names(tree.leaf.tree) == []


def test_an_enum_with_one_value_repeats_it(messages: dict[str, Descriptor]) -> None:
    leaf: Any = sample(messages["Leaf"])
    assert list(leaf.answers) == [1, 1]


def test_each_oneof_has_its_first_arm_or_the_one_asked_for(messages: dict[str, Descriptor]) -> None:
    fields = messages["Leaf"].fields_by_name
    always = ["tree", "answers"]
    first = sample(messages["Leaf"])
    assert names(first) == [*always, "left", "up", "alone", "waits", "raw"]
    second = sample(messages["Leaf"], arm=fields["down"])
    assert names(second) == [*always, "left", "down", "alone", "waits", "raw"]


def test_golden_bytes_of_such_messages_are_complete(
    contract: FileDescriptorSet, tmp_path: Path
) -> None:
    written = write_golden(contract, tmp_path / "golden")
    assert [file.name for file in written] == [
        "corral.v1.Tree.binpb",
        "corral.v1.Leaf.left.binpb",
        "corral.v1.Leaf.right.binpb",
        "corral.v1.Leaf.down.binpb",
    ]
    assert golden_faults(contract, tmp_path / "golden") == []
