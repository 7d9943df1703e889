"""Server reflection, v1 and v1alpha: tools of both ages find every service without a proto file."""

from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
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
    servicer = reflection.aio.ReflectionServicer(names, _Symbols(pool))
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    return tuple(
        grpc.method_handlers_generic_handler(version, {"ServerReflectionInfo": method})
        for version in (REFLECTION_V1, REFLECTION_V1ALPHA)
    )


class _Symbols:
    """A pool that finds the file of a method, too, as the protocol wants; protobuf's do not."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            name, _, method = symbol.rpartition(".")
            service = self._pool.FindServiceByName(name)
            return service.methods_by_name[method].containing_service.file
