"""The descriptor set is current, whole, and the same for the same files."""

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract.descriptors import DESCRIPTOR_SET, compile_contract


def test_the_descriptor_set_is_current_and_deterministic() -> None:
    assert DESCRIPTOR_SET.read_bytes() == compile_contract() == compile_contract()


def test_the_descriptor_set_needs_no_other_file() -> None:
    contract = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    names = {file.name for file in contract.file}
    assert all(imported in names for file in contract.file for imported in file.dependency)
    assert "google/protobuf/duration.proto" in names


def test_the_descriptor_set_holds_the_comments() -> None:
    contract = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    (usage,) = (file for file in contract.file if file.name == "corral/v1/usage.proto")
    comments = [place.leading_comments for place in usage.source_code_info.location]
    assert " The tokens of a request.\n" in comments
