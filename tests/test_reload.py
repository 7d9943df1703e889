"""A running server that is told something else, with fake engines."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

import fake_engine
from corral_server.app import App, run
from corral_server.config import LoadOptions, ModelSpec, ServerConfig
from corral_server.errors import ConfigInvalid
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from fake_engine import MakeSpec
from watch import running_engines

pytestmark = pytest.mark.asyncio


def config(*models: ModelSpec, **fields: Any) -> ServerConfig:
    return ServerConfig(address="127.0.0.1:0", models=models, **fields)


def ids(app: App) -> list[str]:
    return [entry.id for entry in app.registry.entries()]


async def ready(app: App, id: str) -> ModelEntry:
    """The entry of a model once it is loaded."""
    entry = app.registry.resolve(id)
    async for _ in entry.watch_load():
        pass
    assert entry.state is ModelState.READY
    return entry


StartApp = Callable[[ServerConfig], Awaitable[App]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[StartApp]:
    apps: list[App] = []

    async def start(config: ServerConfig) -> App:
        app = App(config, engines=Engines(fake_engine.COMMAND))
        await app.start()
        apps.append(app)
        return app

    yield start
    for app in apps:
        await app.stop(0)
    assert running_engines() == []


async def test_new_models_are_loaded_gone_ones_unloaded_the_rest_is_not_touched(
    start: StartApp, make_spec: MakeSpec
) -> None:
    a, b, c = make_spec("a"), make_spec("b"), make_spec("c")
    app = await start(config(a, b))
    kept = await ready(app, "b")
    await app.reload(config(b, c))
    assert ids(app) == ["b", "c"]
    assert await ready(app, "b") is kept
    await ready(app, "c")


async def test_a_model_that_has_changed_comes_back_and_stays_the_default(
    start: StartApp, make_spec: MakeSpec
) -> None:
    a = make_spec("a")
    app = await start(config(a, default_model="a"))
    before = await ready(app, "a")
    changed = replace(a, options=LoadOptions(max_waiting=3))
    await app.reload(config(changed, default_model="a"))
    after = await ready(app, "a")
    assert after is not before
    assert after.spec == changed
    assert app.registry.default_id == "a"


async def test_another_default(start: StartApp, make_spec: MakeSpec) -> None:
    a, b = make_spec("a"), make_spec("b")
    app = await start(config(a, b, default_model="a"))
    await app.reload(config(a, b, default_model="b"))
    assert app.registry.default_id == "b"
    await app.reload(config(a, b))
    assert app.registry.default_id == "b"


async def test_on_demand_models_come_and_go(start: StartApp, make_spec: MakeSpec) -> None:
    a, b = make_spec("a"), make_spec("b")
    app = await start(config(on_demand=(a,), default_model="a"))
    await app.reload(config(on_demand=(a, b), default_model="a"))
    states = [entry.state for entry in app.registry.entries()]
    assert states == [ModelState.NOT_LOADED, ModelState.NOT_LOADED]
    await app.reload(config(b))
    assert ids(app) == ["b"]
    await ready(app, "b")
    await app.reload(config(on_demand=(b,)))
    assert app.registry.resolve("b").state is ModelState.NOT_LOADED


async def test_models_that_callers_loaded_are_not_touched(
    start: StartApp, make_spec: MakeSpec
) -> None:
    a, b = make_spec("a"), make_spec("b")
    app = await start(config(a))
    await app.registry.load(b)
    await app.reload(config())
    assert ids(app) == ["b"]


async def test_what_cannot_be_done_is_logged_and_the_rest_is_done(
    start: StartApp, make_spec: MakeSpec, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, c = make_spec("a"), make_spec("b"), make_spec("c")
    app = await start(config(a))
    await app.registry.unload("a", drain_timeout_s=0)
    await app.registry.load(b)
    taken = replace(b, options=LoadOptions(max_waiting=3))
    await app.reload(config(taken, c))
    assert ids(app) == ["b", "c"]
    assert "no model 'a' is loaded" in caplog.text
    assert "model 'b' is loaded with another source" in caplog.text


class LogLines(logging.Handler):
    """The lines of the server's log, as things to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put_nowait(record.getMessage())

    async def until(self, end: str) -> list[str]:
        """The lines up to `end`."""
        lines = [await self._lines.get()]
        while lines[-1] != end:
            lines.append(await self._lines.get())
        return lines


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Iterator[LogLines]:
    caplog.set_level("INFO", "corral")
    handler = LogLines()
    logging.getLogger("corral").addHandler(handler)
    yield handler
    logging.getLogger("corral").removeHandler(handler)


async def test_a_server_reloads_at_sighup_and_a_bad_file_changes_nothing(
    make_spec: MakeSpec, log_lines: LogLines
) -> None:
    first, second = config(make_spec("a")), config(make_spec("a"), make_spec("b"))
    bad = ConfigInvalid("corral.toml:1: x: is not known\ncorral.toml:2: y: is not known")
    answers: list[ServerConfig | ConfigInvalid] = [bad, second]

    def read_config() -> ServerConfig:
        answer = answers.pop(0)
        if isinstance(answer, ConfigInvalid):
            raise answer
        return answer

    apps: asyncio.Queue[App] = asyncio.Queue()
    server = asyncio.create_task(
        run(first, Engines(fake_engine.COMMAND), lambda app, _: apps.put_nowait(app), read_config)
    )
    app = await apps.get()
    os.kill(os.getpid(), signal.SIGHUP)
    lines = await log_lines.until("corral.toml:2: y: is not known")
    assert "the configuration is not reloaded:" in lines
    assert ids(app) == ["a"]
    os.kill(os.getpid(), signal.SIGHUP)
    await log_lines.until("the configuration is reloaded; new: b")
    assert ids(app) == ["a", "b"]
    os.kill(os.getpid(), signal.SIGTERM)
    await server
    assert running_engines() == []
