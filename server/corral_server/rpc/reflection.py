"""Server reflection, v1 and v1alpha: tools of both ages find every service without a proto file."""

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from corral_server.rpc.descriptors import HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA


def reflection_handlers(
    services: tuple[str, ...], pool: DescriptorPool
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Both versions. They share one servicer, since their messages are the same on the wire."""
    names = (*services, HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA)
    servicer = reflection.aio.ReflectionServicer(names, pool)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    return tuple(
        grpc.method_handlers_generic_handler(version, {"ServerReflectionInfo": method})
        for version in (REFLECTION_V1, REFLECTION_V1ALPHA)
    )
