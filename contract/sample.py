"""A message with every field set, always to the same values, different from field to field."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

# Larger than 32 bits, and still exact in a double, which is what JavaScript counts with.
_LARGE = 2**40
_FIRST_SECOND = {"google.protobuf.Timestamp": 1_700_000_000, "google.protobuf.Duration": 0}


def sample(message: Descriptor, arm: FieldDescriptor | None = None) -> Message:
    """Every field of `message` set: repeated ones twice, maps once, enums not to zero.

    Of each oneof one arm is set: `arm` in its own, the first one elsewhere. A message within itself
    is empty.
    """
    filled: Message = GetMessageClass(message)()
    _fill(filled, arm, within=())
    return filled


def _fill(message: Message, arm: FieldDescriptor | None, within: tuple[Descriptor, ...]) -> None:
    descriptor = cast(Descriptor, message.DESCRIPTOR)
    within = (*within, descriptor)
    for field in descriptor.fields:
        if _is_chosen(field, arm):
            _set(message, field, within)


def _is_chosen(field: FieldDescriptor, arm: FieldDescriptor | None) -> bool:
    """Whether `field` is the one that is set of its oneof, if it is in one."""
    if field.containing_oneof is None:
        return True
    arms: Sequence[FieldDescriptor] = field.containing_oneof.fields
    return field == (arm if arm in arms else arms[0])


def _set(message: Message, field: FieldDescriptor, within: tuple[Descriptor, ...]) -> None:
    held = getattr(message, field.name)
    if field.message_type is None and field.is_repeated:
        held.extend(_scalar(field, place) for place in range(2))
    elif field.message_type is None:
        setattr(message, field.name, _scalar(field))
    elif field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        held[_scalar(entry["key"])] = _scalar(entry["value"])
    else:
        for inner in [held.add(), held.add()] if field.is_repeated else [held]:
            inner.SetInParent()
            if field.message_type not in within:
                _fill_inner(inner, field.number, within)


def _fill_inner(inner: Message, number: int, within: tuple[Descriptor, ...]) -> None:
    since = _FIRST_SECOND.get(inner.DESCRIPTOR.full_name)
    if since is None:
        _fill(inner, None, within)
    else:
        inner.seconds, inner.nanos = since + number, 250_000_000  # type: ignore[attr-defined]


def _scalar(field: FieldDescriptor, place: int = 0) -> Any:
    """A value for `field`; `place` counts the entries of a repeated one."""
    if field.enum_type is not None:
        _, *values = field.enum_type.values
        return values[place % len(values)].number
    return _SCALARS[field.cpp_type](field, place)


def _whole(field: FieldDescriptor, place: int) -> int:
    """The second of two is negative: ten bytes on the wire."""
    return -field.number if place else 1000 + field.number


# Text and bytes hold what careless code breaks: letters of two, three and four bytes, and no UTF-8.
_SCALARS: dict[int, Callable[[FieldDescriptor, int], Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: lambda field, place: True,
    FieldDescriptor.CPPTYPE_DOUBLE: lambda field, place: _LARGE + field.number + place + 0.5,
    FieldDescriptor.CPPTYPE_FLOAT: lambda field, place: field.number + place + 0.25,
    FieldDescriptor.CPPTYPE_INT32: _whole,
    FieldDescriptor.CPPTYPE_INT64: lambda field, place: _LARGE + field.number + place,
    FieldDescriptor.CPPTYPE_UINT32: lambda field, place: 2**32 - field.number - place,
    FieldDescriptor.CPPTYPE_UINT64: lambda field, place: _LARGE + field.number + place,
    FieldDescriptor.CPPTYPE_STRING: lambda field, place: (
        bytes([0, 255, 128, field.number % 256, place])
        if field.type == FieldDescriptor.TYPE_BYTES
        else f"{field.name} {place} ü→🐎"
    ),
}
