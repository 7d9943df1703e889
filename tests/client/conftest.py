"""A scripted server, and clients of it."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

import corral
from corral import aio
from corral.channel import SERVICE_CONFIG

from .awaited import awaited
from .scripted_server import ScriptedServer, run_scripted_server

# As always, but the pauses between attempts are short.
QUICK = {"grpc.service_config": json.dumps(SERVICE_CONFIG).replace('"0.1s"', '"0.01s"')}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", params=["sync", "aio"])
async def client(
    request: pytest.FixtureRequest, server: ScriptedServer
) -> AsyncIterator[aio.Client]:
    """The blocking client and the asyncio one, both to be awaited."""
    if request.param == "sync":
        with corral.Client(server.address, options=QUICK) as blocking:
            yield awaited(blocking)
    else:
        async with aio.Client(server.address, options=QUICK) as asynchronous:
            yield asynchronous
