"""grpc.health.v1: the process (""), each service of ours, and `model/<id>` for every model.

Statuses are not stored: they are read off the registry whenever somebody asks or something changes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry, RegistryObserver
from corral_server.rpc.descriptors import HEALTH, message_class

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN

_MODEL = "model/"


class Health(RegistryObserver):
    """Answers Check, Watch and List. The services are NOT_SERVING until `start` and after `stop`;
    the process is SERVING until `stop`."""

    def __init__(self, registry: ModelRegistry, services: tuple[str, ...]) -> None:
        self._registry = registry
        self._services = services
        self._started = False
        self._stopped = False
        self._changed = asyncio.Event()
        registry.subscribe(self)

    def start(self) -> None:
        """The models the server starts with are there, or have failed."""
        self._started = True
        self._notify()

    def stop(self) -> None:
        """The server takes no new calls. Ends all Watches once they have told so."""
        self._stopped = True
        self._notify()

    def statuses(self) -> dict[str, HealthCheckResponse.ServingStatus]:
        """Every name there is and its status."""
        statuses = {"": self._status(True)}
        statuses |= {service: self._status(self._started) for service in self._services}
        for entry in self._registry.entries():
            statuses[_MODEL + entry.id] = self._status(entry.state is ModelState.READY)
        return statuses

    def _status(self, serves: bool) -> HealthCheckResponse.ServingStatus:
        return SERVING if serves and not self._stopped else NOT_SERVING

    async def check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        status = self.statuses().get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service!r}")
        return _response(status)

    async def watch(
        self, request: HealthCheckRequest, _context: Any
    ) -> AsyncIterator[HealthCheckResponse]:
        told: int | None = None
        while True:
            status = self.statuses().get(request.service, SERVICE_UNKNOWN)
            if status != told:
                told = status
                yield _response(status)
            elif self._stopped:
                # An open Watch would hold up the server's graceful stop for all of its grace.
                return
            else:
                await self._changed.wait()

    def changed(self, entry: ModelEntry) -> None:
        self._notify()

    def _notify(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()


def health_handler(health: Health, pool: DescriptorPool) -> grpc.GenericRpcHandler:
    """The service as gRPC registers it."""
    list_request = message_class(pool, "grpc.health.v1.HealthListRequest")
    list_response: Any = message_class(pool, "grpc.health.v1.HealthListResponse")

    async def list_all(_request: Any, _context: Any) -> Any:
        response = list_response()
        for name, status in health.statuses().items():
            response.statuses[name].status = status
        return response

    check = {
        "request_deserializer": HealthCheckRequest.FromString,
        "response_serializer": HealthCheckResponse.SerializeToString,
    }
    methods = {
        "Check": grpc.unary_unary_rpc_method_handler(health.check, **check),
        "Watch": grpc.unary_stream_rpc_method_handler(health.watch, **check),
        "List": grpc.unary_unary_rpc_method_handler(
            list_all,
            request_deserializer=list_request.FromString,
            response_serializer=list_response.SerializeToString,
        ),
    }
    return grpc.method_handlers_generic_handler(HEALTH, methods)


def _response(status: Any) -> HealthCheckResponse:
    return HealthCheckResponse(status=status)
