"""What the tests of the server share: scripted models, and a registry of fake engines."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import fake_engine
from corral_server.config import ModelSpec, PathSource
from corral_server.models.engines import Engines
from corral_server.models.registry import ModelRegistry
from fake_engine import QUICK, MakeSpec
from watch import running_engines


@pytest.fixture
def make_spec(tmp_path: Path) -> MakeSpec:
    """A spec of a model that the fake engine loads; keywords are fields of its script."""

    def make(id: str = "m", **script: Any) -> ModelSpec:
        path = tmp_path / f"{id.replace('/', '_')}.json"
        fake_engine.write_model(path, fake_engine.Script(**script))
        return ModelSpec(id=id, source=PathSource(str(path)))

    return make


@pytest_asyncio.fixture
async def registry() -> AsyncIterator[ModelRegistry]:
    """A registry of fake engines, none of which outlives the test."""
    registry = ModelRegistry(engines=Engines(fake_engine.COMMAND), timeouts=QUICK)
    yield registry
    await registry.close()
    assert running_engines() == []
