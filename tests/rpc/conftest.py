"""A real server on a free port of the loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from corral_server.models.registry import ModelRegistry
from rpc.service import Service, serving


@pytest_asyncio.fixture
async def service(registry: ModelRegistry, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(registry, tmp_path) as service:
        yield service
