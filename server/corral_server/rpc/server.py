"""The gRPC server: our services, health and reflection on one port, and how they stop."""

import asyncio
import ipaddress
import logging
import secrets
from contextlib import suppress
from typing import Any, cast

import grpc

from corral.v1 import inference_pb2_grpc, model_manager_pb2_grpc, server_pb2_grpc
from corral_server.config import ServerConfig
from corral_server.errors import CannotListen, ConfigInvalid
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.auth import TokenInterceptor, Tokens
from corral_server.rpc.descriptors import make_pool
from corral_server.rpc.health import Health, health_handler
from corral_server.rpc.inference import Inference
from corral_server.rpc.interceptor import EdgeInterceptor
from corral_server.rpc.model_manager import ModelManager
from corral_server.rpc.reflection import reflection_handlers
from corral_server.rpc.server_info import Server
from corral_server.rpc.tls import server_credentials

SERVICES = ("corral.v1.Inference", "corral.v1.ModelManager", "corral.v1.Server")

_log = logging.getLogger("corral.rpc")

# For what calls that have ended still have on the wire.
_LAST_WORDS_S = 1.0


class GrpcServer:
    """Listens from `start` to `stop`."""

    def __init__(self, registry: ModelRegistry, config: ServerConfig) -> None:
        """Raises ConfigInvalid if a certificate, its key or the tokens cannot be read."""
        self._config = config
        self._credentials = _credentials(config)
        self._edge = EdgeInterceptor()
        self.health = Health(registry, SERVICES)
        self._server = grpc.aio.server(
            interceptors=(*_guards(config), self._edge), options=_options(config)
        )
        self._add_services(registry)

    def _add_services(self, registry: ModelRegistry) -> None:
        config, server = self._config, self._server
        # The interceptor hands our servicers a Call where the generated types say context.
        instance_id = secrets.token_hex(8)
        manager = ModelManager(
            registry, drain_timeout_s=config.drain_timeout_s, instance_id=instance_id
        )
        info = Server(registry, instance_id=instance_id, max_request_bytes=config.max_request_bytes)
        self._stop_watches = manager.stop_watches
        model_manager_pb2_grpc.add_ModelManagerServicer_to_server(cast(Any, manager), server)
        inference_pb2_grpc.add_InferenceServicer_to_server(cast(Any, Inference(registry)), server)
        server_pb2_grpc.add_ServerServicer_to_server(cast(Any, info), server)
        pool = make_pool()
        handlers = (health_handler(self.health, pool), *reflection_handlers(SERVICES, pool))
        server.add_generic_rpc_handlers(handlers)

    async def start(self) -> int:
        """Listens; returns the port. Raises CannotListen."""
        address = self._config.address
        if self._config.token_file and not self._credentials and not _is_loopback(address):
            _log.warning("tokens can be read on their way to %s: it has no TLS", address)
        try:
            port = self._add_port(address)
        except RuntimeError as error:
            raise CannotListen(
                f"cannot listen on {address}: is another server running there?"
            ) from error
        asked = address.rpartition(":")[2]
        if asked.isdigit() and int(asked) not in (0, port):
            # gRPC takes 65,537 for 1.
            raise CannotListen(f"cannot listen on {address}: there is no such port")
        await self._server.start()
        return port

    def _add_port(self, address: str) -> int:
        if self._credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._credentials)

    def refuse(self) -> None:
        """New calls end UNAVAILABLE / SERVER_DRAINING, and health says so; running ones go on."""
        self.health.stop()
        self._stop_watches()
        self._edge.draining = True

    async def stop(self, grace_s: float) -> None:
        """Goes on refusing new calls while running ones end, `grace_s` at most; then listens no
        more and ends what is left.

        gRPC's own graceful stop would drop calls that arrive meanwhile without a reason.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._edge.idle()
        await self._server.stop(_LAST_WORDS_S if self._edge.is_idle else 0)


def _credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    if config.tls_cert is None and config.tls_key is None:
        return None
    if config.tls_cert is None or config.tls_key is None:
        raise ConfigInvalid("tls_cert and tls_key go together")
    return server_credentials(config.tls_cert, config.tls_key)


def _guards(config: ServerConfig) -> tuple[TokenInterceptor, ...]:
    return () if config.token_file is None else (TokenInterceptor(Tokens.read(config.token_file)),)


def _is_loopback(address: str) -> bool:
    """Whether nobody but this machine hears what is said there."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_request_bytes),
        # With the default two servers would share a port in silence.
        ("grpc.so_reuseport", 0),
        # Clients that ping through a long silent prompt must not be cut off for it.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        # A peer that hangs is found within a minute. All three are needed: the ping timeout alone
        # has a default of its own.
        ("grpc.keepalive_time_ms", 40_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
