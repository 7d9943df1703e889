"""The descriptors of everything this server speaks, for reflection: one pool, complete.

Two standard services are newer than the descriptors their Python packages bring: grpc.health.v1 has
List, and reflection has a v1 that differs from v1alpha in its name alone. Both are completed here.
"""

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from corral.v1 import error_reason_pb2, inference_pb2, model_manager_pb2, server_pb2

HEALTH = "grpc.health.v1.Health"
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
REFLECTION_V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"


def make_pool() -> DescriptorPool:
    """A pool of our services with their error details, health and both reflections."""
    pool = DescriptorPool()
    ours = (inference_pb2, model_manager_pb2, server_pb2, error_reason_pb2)
    for file in (*ours, error_details_pb2, reflection_pb2):
        _add(pool, file.DESCRIPTOR)
    pool.Add(_reflection_v1())
    pool.Add(_health_with_list())
    return pool


def message_class(pool: DescriptorPool, name: str) -> type[Message]:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _add(pool: DescriptorPool, file: FileDescriptor) -> None:
    """Adds `file` after what it imports; adding one twice changes nothing."""
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.Add(_proto(file))


def _proto(file: FileDescriptor) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _add_json_names(message, file.message_types_by_name[message.name])
    return proto


def _add_json_names(proto: DescriptorProto, message: Descriptor) -> None:
    """Python's stubs lack them, and tools that reflect would then write and want `max_tokens`."""
    for field in proto.field:
        field.json_name = message.fields_by_name[field.name].camelcase_name
    for nested in proto.nested_type:
        _add_json_names(nested, message.nested_types_by_name[nested.name])


def _reflection_v1() -> FileDescriptorProto:
    proto = _proto(reflection_pb2.DESCRIPTOR)
    _rename(proto, "grpc.reflection.v1alpha", "grpc.reflection.v1")
    proto.name = "grpc/reflection/v1/reflection.proto"
    return proto


def _rename(proto: FileDescriptorProto, old: str, new: str) -> None:
    """Moves a file that imports nothing to another package."""
    proto.package = new
    for message in proto.message_type:
        for field in (field for field in message.field if field.type_name):
            field.type_name = field.type_name.replace(f".{old}.", f".{new}.")
    for method in (method for service in proto.service for method in service.method):
        method.input_type = method.input_type.replace(f".{old}.", f".{new}.")
        method.output_type = method.output_type.replace(f".{old}.", f".{new}.")


def _health_with_list() -> FileDescriptorProto:
    """The health service with its method List: no arguments, and a map from service to status."""
    proto = _proto(health_pb2.DESCRIPTOR)
    if any(method.name == "List" for method in proto.service[0].method):
        return proto
    proto.message_type.add(name="HealthListRequest")
    response = proto.message_type.add(name="HealthListResponse")
    entry = response.nested_type.add(name="StatusesEntry")
    entry.options.map_entry = True
    optional, text = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.TYPE_STRING
    message = FieldDescriptorProto.TYPE_MESSAGE
    entry.field.add(name="key", number=1, label=optional, type=text)
    entry.field.add(
        name="value",
        number=2,
        label=optional,
        type=message,
        type_name=".grpc.health.v1.HealthCheckResponse",
    )
    response.field.add(
        name="statuses",
        number=1,
        label=FieldDescriptorProto.LABEL_REPEATED,
        type=message,
        type_name=".grpc.health.v1.HealthListResponse.StatusesEntry",
    )
    proto.service[0].method.add(
        name="List",
        input_type=".grpc.health.v1.HealthListRequest",
        output_type=".grpc.health.v1.HealthListResponse",
    )
    return proto
