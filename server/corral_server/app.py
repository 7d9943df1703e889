"""The one place that constructs everything, starts it, and stops it in the right order."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from corral_server.config import ServerConfig
from corral_server.errors import ConfigInvalid, CorralError
from corral_server.models.engines import Engines
from corral_server.models.hub import Hub
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.server import GrpcServer
from corral_server.settings.reload import ReloadPlan, applied, plan_reload

_log = logging.getLogger("corral")


class App:
    """A server from `start` to `stop`, on the running loop."""

    def __init__(self, config: ServerConfig, engines: Engines | None = None) -> None:
        self._config = config
        self.registry = ModelRegistry(
            engines=engines,
            timeouts=config.engine,
            hub=Hub(config.hub),
            model_dirs=config.model_dirs,
            budget=config.budget,
            min_residency_s=config.min_residency_s,
            patience_s=config.drain_timeout_s,
        )
        self._grpc = GrpcServer(self.registry, config)
        self.address = config.address

    async def start(self) -> None:
        """Listens, then starts the loads of the configured models. Raises CannotListen."""
        port = await self._grpc.start()
        if self.address.endswith(":0"):
            self.address = f"{self.address.removesuffix(':0')}:{port}"
        plan = plan_reload(ServerConfig(), self._config)
        if not plan.load:
            self.registry.stable.engines.close()
        await self._carry_out(plan)

    async def reload(self, wanted: ServerConfig) -> ReloadPlan:
        """Loads models that are new, unloads those that are gone, touches nothing else. Not to be
        called before an earlier one has returned."""
        plan = plan_reload(self._config, wanted)
        self._config = applied(self._config, wanted)
        await self._carry_out(plan)
        return plan

    async def _carry_out(self, plan: ReloadPlan) -> None:
        """What goes first makes room for what comes. What cannot be done is logged."""
        timeout_s = self._config.drain_timeout_s
        unloads = (self.registry.unload(id, drain_timeout_s=timeout_s) for id in plan.unload)
        retracts = (self.registry.retract(id, drain_timeout_s=timeout_s) for id in plan.retract)
        await asyncio.gather(*(_attempt(end) for end in (*unloads, *retracts)))
        for spec in plan.load:
            await _attempt(self.registry.load(spec))
        for spec in plan.declare:
            with _logged():
                self.registry.declare(spec)
        with _logged():
            if plan.default is not None:
                self.registry.set_default(plan.default)

    async def loaded(self) -> list[CorralError]:
        """Waits for the configured models, after which the services are healthy. Returns what
        went wrong."""
        waits = (self._loaded(spec.id) for spec in self._config.models)
        outcomes = await asyncio.gather(*waits)
        self._grpc.health.start()
        return [error for error in outcomes if error is not None]

    async def _loaded(self, id: str) -> CorralError | None:
        try:
            async for _ in self.registry.resolve(id).watch_load():
                pass
        except CorralError as error:
            return error
        return None

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, lets running ones go on for `grace_s`, then ends the engines."""
        self._grpc.refuse()
        await self._grpc.stop(grace_s)
        await self.registry.close()


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except CorralError as error:
        _log.error("%s", error)


async def _attempt(action: Coroutine[Any, Any, object]) -> None:
    with _logged():
        await action


async def run(
    config: ServerConfig,
    engines: Engines,
    on_ready: Callable[[App, list[CorralError]], None],
    read_config: Callable[[], ServerConfig] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; a second one skips the grace. At SIGHUP does what
    `read_config` says then, if it is given. Raises CannotListen."""
    app = App(config, engines)
    signals = _Signals(signal.SIGTERM, signal.SIGINT)
    await app.start()
    reloads = asyncio.create_task(_reloads(app, read_config))
    ready = asyncio.create_task(_tell(app, on_ready))
    await signals.next()
    reloads.cancel()
    _log.info("stopping; running calls have %g s, a second signal ends them now", config.grace_s)
    ready.cancel()
    stop = asyncio.create_task(app.stop(config.grace_s))
    hurry = asyncio.create_task(signals.next())
    await asyncio.wait([stop, hurry], return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        await app.stop(0)
    hurry.cancel()
    await stop
    _log.info("stopped")


async def _tell(app: App, on_ready: Callable[[App, list[CorralError]], None]) -> None:
    on_ready(app, await app.loaded())


async def _reloads(app: App, read_config: Callable[[], ServerConfig] | None) -> None:
    """At each SIGHUP, carries out what the configuration says then; a bad one changes nothing."""
    if read_config is None:
        return
    hangups = _Signals(signal.SIGHUP)
    while True:
        await hangups.next()
        try:
            wanted = read_config()
        except ConfigInvalid as error:
            for problem in ("the configuration is not reloaded:", *error.message.splitlines()):
                _log.error("%s", problem)
        else:
            _log.info("the configuration is reloaded; %s", await app.reload(wanted))


class _Signals:
    """Signals, as things to wait for."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._arrived: asyncio.Queue[None] = asyncio.Queue()
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._arrived.put_nowait, None)

    async def next(self) -> None:
        await self._arrived.get()
