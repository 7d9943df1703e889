"""All models of a server: id to entry, load and unload, and which one a call goes to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from corral_server.config import Capability, EngineTimeouts, ModelSpec
from corral_server.errors import (
    CapabilityNotSupported,
    LoadConflict,
    ModelNotFound,
    NoDefaultModel,
    ServerDraining,
)
from corral_server.models.engine_client import ENGINE_COMMAND, EngineClient
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.supervisor import supervise


@dataclass(frozen=True, slots=True)
class Lease:
    """A call's hold on a ready model: it is not unloaded under the call without being told."""

    model_id: str
    engine: EngineClient
    sequence_limit: int


class ModelRegistry:
    """For one event loop. Nothing here waits for a load but those who asked for that model."""

    def __init__(
        self,
        *,
        engine_command: tuple[str, ...] = ENGINE_COMMAND,
        timeouts: EngineTimeouts | None = None,
    ) -> None:
        self._engine_command = engine_command
        self._timeouts = timeouts or EngineTimeouts()
        self._entries: dict[str, ModelEntry] = {}
        self._supervisors: dict[ModelEntry, asyncio.Task[None]] = {}
        self._unloads: dict[ModelEntry, asyncio.Task[None]] = {}
        # The last is the default. It goes back to those before it if its load fails.
        self._defaults: list[str] = []
        self._observers: list[Callable[[ModelEntry], None]] = []
        self._closing = False

    def subscribe(self, observer: Callable[[ModelEntry], None]) -> None:
        """Calls `observer` with an entry after each change of its state, UNLOADED included."""
        self._observers.append(observer)

    # What is there.

    def entries(self) -> list[ModelEntry]:
        return [self._entries[id] for id in sorted(self._entries)]

    @property
    def default_id(self) -> str | None:
        return self._defaults[-1] if self._defaults else None

    def resolve(self, id: str) -> ModelEntry:
        """The entry of `id`, or of the default model for "". Raises ModelNotFound or
        NoDefaultModel."""
        if not id and not self._defaults:
            raise NoDefaultModel(
                "no model was named and none is the default; "
                f"name one of these or set a default: {self._known()}"
            )
        entry = self._entries.get(id or self._defaults[-1])
        if entry is None:
            raise ModelNotFound(
                f"no model {id!r} is loaded; loaded are: {self._known()}",
                model=id,
                candidates=self._known(),
            )
        return entry

    def _known(self) -> str:
        return ", ".join(sorted(self._entries)) or "none"

    # Load and unload.

    async def load(self, spec: ModelSpec, *, make_default: bool = False) -> ModelEntry:
        """Starts a load, or joins one of an equal spec; `watch_load` of the entry tells the rest.

        Waits only for an unload of the same id to end. Raises LoadConflict if the id is taken
        by another spec. The load is the registry's own: only `unload` ends it.
        """
        while (entry := self._entries.get(spec.id)) and entry.state is ModelState.DRAINING:
            await asyncio.shield(self._unloads[entry])
        if self._closing:
            raise ServerDraining("the server is stopping and loads no more models")
        if entry is not None and entry.state is ModelState.FAILED:
            self._remove(entry)
            entry = None
        if entry is None:
            entry = self._begin(spec)
        elif entry.spec != spec:
            raise LoadConflict(
                f"model {spec.id!r} is loaded with another source, options or capabilities; "
                "unload it first",
                model=spec.id,
            )
        if make_default:
            self._make_default(entry)
        return entry

    def _begin(self, spec: ModelSpec) -> ModelEntry:
        entry = self._entries[spec.id] = ModelEntry(spec, self._notify)
        supervisor = supervise(entry, self._engine_command, self._timeouts)
        self._supervisors[entry] = asyncio.create_task(supervisor, name=f"model {spec.id}")
        self._notify(entry)
        return entry

    async def unload(self, id: str, *, drain_timeout_s: float, force: bool = False) -> None:
        """Returns when the model's process is gone. A load in progress is cancelled; of a ready
        model, calls may go on for `drain_timeout_s` unless `force`. The rest end ModelUnloaded.

        The unload is the registry's own and goes on if the caller leaves. A second one joins the
        first; with `force` it ends the draining. Raises ModelNotFound.
        """
        entry = self.resolve(id)
        await asyncio.shield(self._begin_unload(entry, drain_timeout_s, force))

    def _begin_unload(
        self, entry: ModelEntry, drain_timeout_s: float, force: bool
    ) -> asyncio.Task[None]:
        if entry not in self._unloads:
            drains = entry.state is ModelState.READY and not force
            entry.become(ModelState.DRAINING)
            if not drains:
                # Before anything else runs: a load that is about to succeed must not any more.
                self._supervisors[entry].cancel()
            unload = self._unload(entry, drain_timeout_s if drains else 0.0)
            self._unloads[entry] = asyncio.create_task(unload, name=f"unload {entry.id}")
        elif force:
            entry.stop_draining()
        return self._unloads[entry]

    async def _unload(self, entry: ModelEntry, drain_timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_timeout_s):
                await entry.drained()
        if entry.engine is not None:
            entry.engine.end(entry.unloaded())
        supervisor = self._supervisors[entry]
        if not supervisor.cancelling():
            # Once only: a second cancel would interrupt the clean-up of the first.
            supervisor.cancel()
        await asyncio.wait([supervisor])
        if self.default_id == entry.id:
            self._defaults.clear()
        self._forget_default(entry)
        self._remove(entry)

    def _remove(self, entry: ModelEntry) -> None:
        del self._entries[entry.id]
        del self._supervisors[entry]
        self._unloads.pop(entry, None)
        entry.become(ModelState.UNLOADED)

    async def close(self) -> None:
        """Unloads everything at once and loads nothing more."""
        self._closing = True
        unloads = [self._begin_unload(entry, 0.0, force=True) for entry in self.entries()]
        await asyncio.gather(*(asyncio.shield(unload) for unload in unloads))

    # Routing.

    def set_default(self, id: str) -> ModelEntry:
        """Makes a model that is ready, or on its way, the default. Raises why it cannot be."""
        entry = self.resolve(id)
        if entry.state in (ModelState.FAILED, ModelState.DRAINING):
            entry.ready_engine()
        self._make_default(entry)
        return entry

    @asynccontextmanager
    async def lease(self, id: str, capability: Capability | None = None) -> AsyncIterator[Lease]:
        """A hold on the model of `id`, or on the default one for ""; waits while it is loading.

        Raises ModelNotFound, NoDefaultModel, CapabilityNotSupported, ModelFailed, ModelUnloaded or
        EngineRestarting.
        """
        entry = self.resolve(id)
        if capability is not None and capability not in entry.spec.capabilities:
            raise CapabilityNotSupported(
                f"model {entry.id!r} was loaded without {capability.name}",
                model=entry.id,
                capability=capability.name,
            )
        await entry.until(lambda: entry.state is not ModelState.LOADING)
        engine = entry.acquire()
        try:
            assert entry.engine_facts is not None
            yield Lease(entry.id, engine, entry.engine_facts.sequence_limit)
        finally:
            entry.release()

    def _make_default(self, entry: ModelEntry) -> None:
        self._forget_default(entry)
        self._defaults.append(entry.id)

    def _forget_default(self, entry: ModelEntry) -> None:
        if entry.id in self._defaults:
            self._defaults.remove(entry.id)

    def _notify(self, entry: ModelEntry) -> None:
        if entry.state is ModelState.FAILED and entry.loaded_at is None:
            # A load that failed must not have changed where calls go.
            self._forget_default(entry)
        elif entry.state is ModelState.READY and entry.id in self._defaults:
            del self._defaults[: self._defaults.index(entry.id)]
        for observer in self._observers:
            observer(entry)
