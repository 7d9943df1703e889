"""Golden bytes: what messages looked like on the wire when they were new, kept for ever.

A file is written once and never again, so every later version proves that it still reads the bytes
of all versions before it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from contract.descriptors import PACKAGE, PROTO, messages_of
from contract.sample import sample

GOLDEN = PROTO / "golden"


def write_golden(contract: FileDescriptorSet, folder: Path = GOLDEN) -> list[Path]:
    """Keeps what is not kept yet, and overwrites nothing. Returns the new files."""
    folder.mkdir(exist_ok=True)
    written = []
    for message in messages_of(contract):
        for name, filled in _missing(message, folder):
            file = folder / f"{name}.binpb"
            with file.open("xb") as bytes_file, file.with_suffix(".json").open("x") as json_file:
                bytes_file.write(filled.SerializeToString(deterministic=True))
                json_file.write(to_json(filled))
            written.append(file)
    return written


def golden_faults(contract: FileDescriptorSet, folder: Path = GOLDEN) -> list[str]:
    """What is wrong, a sentence each: bytes that now read otherwise, fields without any bytes."""
    messages = {message.full_name: message for message in messages_of(contract)}
    faults = []
    for file in sorted(folder.glob("*.binpb")):
        message = messages.get(message_name(file))
        fault = _fault(file, message) if message else "is of no message in the contract"
        faults += [f"{file.name} {fault}"] if fault else []
    if not faults:
        for message in messages.values():
            faults += [f"{name} has no golden bytes" for name, _ in _missing(message, folder)]
    return faults


def message_name(file: Path) -> str:
    """The message in a file: of `corral.v1.Model.binpb` as of `corral.v1.Model.memory.binpb`."""
    parts = file.name.split(".")
    return ".".join(part for part in parts[:-1] if part in PACKAGE.split(".") or part[0].isupper())


def to_json(message: Message) -> str:
    """The message as the contract's JSON: names in camelCase, absent fields left out."""
    text: str = json_format.MessageToJson(message, ensure_ascii=False)
    return text + "\n"


def _missing(message: Descriptor, folder: Path) -> Iterator[tuple[str, Message]]:
    """A name and a message for each field of `message` that no golden file has set yet.

    One message stands for all plain fields; of a oneof each arm needs its own.
    """
    parse = GetMessageClass(message).FromString
    kept = [parse(file.read_bytes()) for file in _files(message, folder)]
    covered = {field.name for filled in kept for field, _ in filled.ListFields()}
    arms = [field for oneof in message.oneofs if len(oneof.fields) > 1 for field in oneof.fields]
    if not kept and not arms:
        yield message.full_name, sample(message)
        return
    for field in [*arms, *message.fields]:
        if field.name not in covered:
            filled = sample(message, arm=field)
            covered |= {field.name for field, _ in filled.ListFields()}
            yield f"{message.full_name}.{field.name}", filled


def _files(message: Descriptor, folder: Path) -> list[Path]:
    files = sorted(folder.glob(f"{message.full_name}.*binpb"))
    return [file for file in files if message_name(file) == message.full_name]


def _fault(file: Path, message: Descriptor) -> str | None:
    kept = file.read_bytes()
    try:
        parsed: Message = GetMessageClass(message).FromString(kept)
    except DecodeError:
        return "no longer parses"
    expected = file.with_suffix(".json")
    if json.loads(to_json(parsed)) != json.loads(expected.read_text()):
        return f"no longer reads as {expected.name}"
    parsed.DiscardUnknownFields()
    if parsed.SerializeToString(deterministic=True) != kept:
        return "has fields the contract does not know, or is written otherwise now"
    return None
