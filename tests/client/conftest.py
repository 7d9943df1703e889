"""A scripted server, clients of it, and the command."""

import io
import json
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from corral import Client, aio
from corral.channel import SERVICE_CONFIG
from corral.cli import main

from .awaited import awaited
from .command import Corral, Result
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
        with Client(server.address, options=QUICK) as blocking:
            yield awaited(blocking)
    else:
        async with aio.Client(server.address, options=QUICK) as asynchronous:
            yield asynchronous


@pytest.fixture
def corral(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Corral:
    """Runs `corral ARGUMENTS` with `stdin` piped in."""
    monkeypatch.setenv("CORRAL_ADDRESS", server.address)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr("corral.cli.app.PLUGINS", "corral.tests")

    def run(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        return Result(caught.value.code, *capsys.readouterr())

    return run
