"""A real server on a free port of the loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest_asyncio

from corral_server.config import ServerConfig
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.server import GrpcServer
from rpc.service import Service


@pytest_asyncio.fixture
async def service(registry: ModelRegistry, tmp_path: Path) -> AsyncIterator[Service]:
    server = GrpcServer(registry, ServerConfig(address="127.0.0.1:0"))
    port = await server.start()
    server.health.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(server, registry, channel, tmp_path)
    await server.stop(0)
