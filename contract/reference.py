"""The contract as a page to read: services, calls, messages and enums with their comments."""

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from contract.descriptors import PACKAGE, ROOT

REFERENCE = ROOT / "docs" / "contract.md"

_HEAD = f"""\
# The contract, `{PACKAGE}`

<!-- `make proto` writes this page from proto/corral/v1: edit there. -->

Every call, message and enum, with ranges and defaults. [proto/README.md](../proto/README.md) says
what may change and what a caller may rely on. Health and reflection are gRPC's standard ones.

Tables begin with the number on the wire. *optional* means that left out and zero are two things; of
the fields that are *one of* a group, at most one is set; any other field that is left out is zero,
empty or not there.
"""

# Comments by the path of what they stand before, as descriptor.proto numbers it.
_Path = tuple[int, ...]
_MESSAGES, _ENUMS, _SERVICES, _SYNTAX = 4, 5, 6, 12
_FIELDS = _VALUES = _METHODS = 2


def reference(contract: FileDescriptorSet) -> str:
    """The page, in Markdown: what has services first."""
    files = [file for file in contract.file if file.package == PACKAGE]
    files.sort(key=lambda file: (not file.service, file.name))
    holders = _holders(files)
    lines = [_HEAD, *_index(files)]
    for file in files:
        lines += _file(file, holders)
    return "\n".join(lines) + "\n"


def _holders(files: list[FileDescriptorProto]) -> dict[str, list[str]]:
    """The messages that hold a message or an enum in a field, by its name."""
    holders: dict[str, list[str]] = {}
    messages = [message for file in files for message in file.message_type]
    for message in messages:
        for held in dict.fromkeys(field.type_name for field in message.field):
            holders.setdefault(_simple(held), []).append(message.name)
    return holders


def _index(files: list[FileDescriptorProto]) -> Iterator[str]:
    """A line a service with its calls, a line a file with what is no request and no answer."""
    for service in (service for file in files for service in file.service):
        calls = ", ".join(_link(method.name) for method in service.method)
        yield f"- **{_link(service.name)}**: {calls}"
    for file in files:
        names = [message.name for message in file.message_type]
        names += [enum.name for enum in file.enum_type]
        shared = [name for name in names if not name.endswith(("Request", "Response"))]
        links = ", ".join(_link(name) for name in shared)
        yield f"- [{_title(file)}](#{_anchor(_title(file))}): {links}"


def _file(file: FileDescriptorProto, holders: Mapping[str, list[str]]) -> Iterator[str]:
    comments = _comments(file)
    yield f"\n## {_title(file)}\n\n{comments[(_SYNTAX,)]}"
    for place, service in enumerate(file.service):
        yield from _service(service, (_SERVICES, place), comments)
    for place, message in enumerate(file.message_type):
        yield from _message(message, (_MESSAGES, place), comments, holders)
    for place, enum in enumerate(file.enum_type):
        yield from _enum(enum, (_ENUMS, place), comments, holders)


def _service(
    service: ServiceDescriptorProto, path: _Path, comments: Mapping[_Path, str]
) -> Iterator[str]:
    yield f"\n### {service.name}\n\n{comments[path]}"
    for place, method in enumerate(service.method):
        request = _streamed(method.client_streaming) + _link(_simple(method.input_type))
        answer = _streamed(method.server_streaming) + _link(_simple(method.output_type))
        yield f"\n#### {method.name}\n\n{request} → {answer}\n"
        yield comments[*path, _METHODS, place]


def _streamed(streaming: bool) -> str:
    return "a stream of " if streaming else ""


def _message(
    message: DescriptorProto,
    path: _Path,
    comments: Mapping[_Path, str],
    holders: Mapping[str, list[str]],
) -> Iterator[str]:
    yield f"\n### {message.name}\n\n{comments[path]}{_held(message.name, holders)}"
    if message.field:
        yield "\n| | field | type | |\n|--:|---|---|---|"
    for place, field in enumerate(message.field):
        kind = ", ".join(filter(None, [_type(field, message), _presence(field, message)]))
        yield _row(str(field.number), f"`{field.name}`", kind, comments[*path, _FIELDS, place])


def _enum(
    enum: EnumDescriptorProto,
    path: _Path,
    comments: Mapping[_Path, str],
    holders: Mapping[str, list[str]],
) -> Iterator[str]:
    yield f"\n### {enum.name}\n\n{comments[path]}{_held(enum.name, holders)}"
    yield "\n| | value | |\n|--:|---|---|"
    for place, value in enumerate(enum.value):
        yield _row(str(value.number), f"`{value.name}`", comments[*path, _VALUES, place])


def _held(name: str, holders: Mapping[str, list[str]]) -> str:
    links = ", ".join(_link(holder) for holder in holders.get(name, []))
    return f" In {links}." if links else ""


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and nested.name == _simple(field.type_name):
            key, value = nested.field
            return f"map of {_type(key, nested)} to {_type(value, nested)}"
    repeated = "list of " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    if field.type_name.startswith(f".{PACKAGE}."):
        return repeated + _link(_simple(field.type_name))
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return repeated + (_simple(field.type_name) or name)


def _presence(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    if field.proto3_optional:
        return "*optional*"
    if field.HasField("oneof_index"):
        return f"*one of* `{message.oneof_decl[field.oneof_index].name}`"
    return ""


def _comments(file: FileDescriptorProto) -> dict[_Path, str]:
    """Each comment on one line; that of the file at its `syntax`."""
    found = {}
    for place in file.source_code_info.location:
        detached = place.leading_detached_comments if tuple(place.path) == (_SYNTAX,) else ()
        text = " ".join([*detached, place.leading_comments]).split()
        found[tuple(place.path)] = " ".join(text).replace("<", "&lt;").replace("*", r"\*")
    return found


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _title(file: FileDescriptorProto) -> str:
    return file.name.rpartition("/")[2]


def _simple(name: str) -> str:
    return name.rpartition(".")[2]


def _link(name: str) -> str:
    return f"[{name}](#{_anchor(name)})"


def _anchor(heading: str) -> str:
    """The anchor that GitHub and its like give a heading."""
    return heading.lower().replace(".", "")
