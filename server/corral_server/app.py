"""The one place that constructs everything, starts it, and stops it in the right order."""

import asyncio
import logging
import signal
from collections.abc import Callable

from corral_server.config import ServerConfig
from corral_server.errors import CorralError
from corral_server.models.engine_client import ENGINE_COMMAND
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.server import GrpcServer

_log = logging.getLogger("corral")


class App:
    """A server from `start` to `stop`, on the running loop."""

    def __init__(
        self, config: ServerConfig, *, engine_command: tuple[str, ...] = ENGINE_COMMAND
    ) -> None:
        self._config = config
        self.registry = ModelRegistry(engine_command=engine_command, timeouts=config.engine)
        self._grpc = GrpcServer(self.registry, config)
        self.address = config.address

    async def start(self) -> None:
        """Listens, then starts the loads of the configured models. Raises CannotListen."""
        port = await self._grpc.start()
        if self.address.endswith(":0"):
            self.address = f"{self.address.removesuffix(':0')}:{port}"
        for spec in self._config.models:
            await self.registry.load(spec, make_default=spec.id == self._config.default_model)

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


async def run(config: ServerConfig, on_ready: Callable[[App, list[CorralError]], None]) -> None:
    """Serves until SIGTERM or SIGINT; a second one skips the grace. Raises CannotListen."""
    app = App(config)
    signals = _Signals()
    await app.start()
    ready = asyncio.create_task(_tell(app, on_ready))
    await signals.next()
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


class _Signals:
    """SIGTERM and SIGINT, as things to wait for."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[None] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._arrived.put_nowait, None)

    async def next(self) -> None:
        await self._arrived.get()
