"""All models of a server: id to entry, load and unload, and which one a call goes to."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from corral_server.config import BudgetConfig, Capability, EngineTimeouts, HubConfig, ModelSpec
from corral_server.errors import (
    CapabilityNotSupported,
    InsufficientMemory,
    LoadConflict,
    ModelNotFound,
    NoDefaultModel,
    ServerDraining,
)
from corral_server.ipc.messages import Probed
from corral_server.models.engine_client import EngineClient
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.hub import Hub
from corral_server.models.memory import Memory
from corral_server.models.reaper import Reaper
from corral_server.models.source import SourceLocator
from corral_server.models.supervisor import Stable, supervise

# A declared model whose load failed is tried again by the first call after this long.
RETRY_S = 5.0


class ResolveReason(Enum):
    """Why a name leads to a model."""

    ID = "id"
    ALIAS = "alias"
    DEFAULT = "default"


class Resolved(NamedTuple):
    """Where a name leads, and why."""

    entry: ModelEntry
    reason: ResolveReason


@dataclass(frozen=True, slots=True)
class Lease:
    """A call's hold on a ready model: it is not unloaded under the call without being told."""

    model_id: str
    engine: EngineClient
    sequence_limit: int


class RegistryObserver:
    """Hears what happens to models. Every method does nothing until it is overridden."""

    def changed(self, entry: ModelEntry) -> None:
        """The state of `entry` is new; UNLOADED comes last and is the end of it."""

    def progressed(self, entry: ModelEntry) -> None:
        """The load of `entry` went on."""

    def default_changed(self, id: str | None) -> None:
        """Another model is the default, or none."""


class ModelRegistry:
    """For one event loop. Nothing here waits for a load but those who asked for that model."""

    def __init__(
        self,
        *,
        engines: Engines | None = None,
        timeouts: EngineTimeouts | None = None,
        hub: Hub | None = None,
        model_dirs: tuple[str, ...] = (),
        budget: BudgetConfig | None = None,
        min_residency_s: float = 10.0,
        patience_s: float = 30.0,
    ) -> None:
        self.hub = hub or Hub(HubConfig())
        self.memory = Memory(
            budget or BudgetConfig(),
            entries=self.entries,
            evict=self._evict,
            min_residency_s=min_residency_s,
            patience_s=patience_s,
        )
        self.stable = Stable(
            engines or Engines(),
            timeouts or EngineTimeouts(),
            SourceLocator(self.hub, model_dirs),
            self.memory,
        )
        self._entries: dict[str, ModelEntry] = {}
        self._declared: dict[str, ModelSpec] = {}
        self._supervisors: dict[ModelEntry, asyncio.Task[None]] = {}
        self._unloads: dict[ModelEntry, asyncio.Task[None]] = {}
        # The last is the default. It goes back to those before it if its load fails.
        self._defaults: list[str] = []
        self._observers: list[RegistryObserver] = []
        self._reaper = Reaper(self.entries, self._evict)
        self._closing = False

    def subscribe(self, observer: RegistryObserver) -> None:
        self._observers.append(observer)

    # What is there.

    def entries(self) -> list[ModelEntry]:
        return [self._entries[id] for id in sorted(self._entries)]

    @property
    def default_id(self) -> str | None:
        return self._defaults[-1] if self._defaults else None

    def resolve(self, name: str) -> ModelEntry:
        """The entry of `name`: an id, an alias, or "" for the default model. Raises ModelNotFound
        or NoDefaultModel."""
        return self.explain(name).entry

    def explain(self, name: str) -> Resolved:
        """As `resolve`, with the reason."""
        if not name:
            return Resolved(self._default_entry(), ResolveReason.DEFAULT)
        if name in self._entries:
            return Resolved(self._entries[name], ResolveReason.ID)
        for entry in self._entries.values():
            if name in entry.spec.aliases:
                return Resolved(entry, ResolveReason.ALIAS)
        raise self._not_found(name)

    def _not_found(self, name: str) -> ModelNotFound:
        return ModelNotFound(
            f"no model {name!r} is loaded; loaded are: {self._known()}",
            model=name,
            candidates=self._known(),
        )

    def _default_entry(self) -> ModelEntry:
        entry = self._entries.get(self.default_id or "")
        if entry is None:
            raise NoDefaultModel(
                "no model was named and none is the default; "
                f"name one of these or set a default: {self._known()}"
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
        self._check_open()
        if entry is None or entry.state in (ModelState.FAILED, ModelState.NOT_LOADED):
            self._check_names(spec, successor_of=entry)
            if entry is not None:
                self._remove(entry)
            entry = self._supervise(self._add(spec, ModelState.LOADING))
        elif entry.spec != spec:
            raise LoadConflict(
                f"model {spec.id!r} is loaded with another source, options or capabilities; "
                "unload it first",
                model=spec.id,
            )
        if make_default:
            self._make_default(entry)
        return entry

    def declare(self, spec: ModelSpec, *, make_default: bool = False) -> ModelEntry:
        """Makes a model known that the first call will load. Raises LoadConflict."""
        self._check_open()
        if spec.id in self._entries:
            raise LoadConflict(f"model {spec.id!r} is there already", model=spec.id)
        self._check_names(spec)
        self._declared[spec.id] = spec
        entry = self._add(spec, ModelState.NOT_LOADED)
        if make_default:
            self._make_default(entry)
        return entry

    def is_declared(self, id: str) -> bool:
        """Whether the first call loads it."""
        return id in self._declared

    async def retract(self, id: str, *, drain_timeout_s: float) -> None:
        """Undoes `declare`: unloads the model if it is loaded, and forgets it. Raises
        ModelNotFound."""
        if self._declared.pop(id, None) is None:
            raise self._not_found(id)
        await self.unload(id, drain_timeout_s=drain_timeout_s)

    def _check_open(self) -> None:
        if self._closing:
            raise ServerDraining("the server is stopping and loads no more models")

    def _check_names(self, spec: ModelSpec, successor_of: ModelEntry | None = None) -> None:
        """Every name leads to one model."""
        others = [entry.spec for entry in self._entries.values() if entry is not successor_of]
        taken = {name for other in others for name in (other.id, *other.aliases)}
        for name in (spec.id, *spec.aliases):
            if name in taken:
                raise LoadConflict(
                    f"the name {name!r} leads to model {self.resolve(name).id!r} already",
                    model=spec.id,
                    name=name,
                )

    def _add(self, spec: ModelSpec, state: ModelState) -> ModelEntry:
        entry = ModelEntry(spec, self._on_change, self._on_progress, self._on_idle, state)
        self._entries[spec.id] = entry
        self._on_change(entry)
        return entry

    def _supervise(self, entry: ModelEntry) -> ModelEntry:
        supervisor = supervise(entry, self.stable)
        self._supervisors[entry] = asyncio.create_task(supervisor, name=f"model {entry.id}")
        return entry

    async def unload(self, id: str, *, drain_timeout_s: float, force: bool = False) -> None:
        """Returns when the model's process is gone. A load in progress is cancelled; of a ready
        model, calls may go on for `drain_timeout_s` unless `force`. The rest end ModelUnloaded.

        The unload is the registry's own and goes on if the caller leaves. A second one joins the
        first; with `force` it ends the draining. Raises ModelNotFound.
        """
        entry = self._entries.get(id)
        if entry is None:
            # Aliases are for calls: what ends a model names the model.
            raise self._not_found(id)
        if entry.state is ModelState.NOT_LOADED:
            self._leave(entry)
            return
        await asyncio.shield(self._begin_unload(entry, drain_timeout_s, force))

    def _evict(self, entry: ModelEntry) -> Awaitable[None]:
        """From here on nobody can take a lease on `entry`; what is returned waits for its end."""
        assert entry.is_idle
        return asyncio.shield(self._begin_unload(entry, 0.0, force=False))

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
        self._leave(entry)

    def _leave(self, entry: ModelEntry) -> None:
        """`entry` ends; a declared model starts anew, waiting to be called."""
        self._remove(entry)
        if entry.id in self._declared and not self._closing:
            self._add(self._declared[entry.id], ModelState.NOT_LOADED)
        else:
            self._unset_default(entry)

    def _remove(self, entry: ModelEntry) -> None:
        del self._entries[entry.id]
        self._supervisors.pop(entry, None)
        self._unloads.pop(entry, None)
        entry.become(ModelState.UNLOADED)

    async def close(self) -> None:
        """Unloads everything at once and loads nothing more."""
        self._closing = True
        await self._reaper.close()
        loaded = [entry for entry in self.entries() if entry.state is not ModelState.NOT_LOADED]
        unloads = [self._begin_unload(entry, 0.0, force=True) for entry in loaded]
        await asyncio.gather(*(asyncio.shield(unload) for unload in unloads))
        self.stable.engines.close()
        await self.hub.close()

    async def predict(self, spec: ModelSpec) -> Probed:
        """What a model is and would take; nothing is loaded, downloaded or set aside."""
        stable = self.stable
        spec = stable.sources.admit(spec)
        path = await stable.sources.locate_here(spec.source)
        async with EngineClient.launch(stable.engines.take(), stable.crowd) as engine:
            return await engine.probe(path, spec, stall_s=stable.timeouts.stall_s)

    # Routing.

    def set_default(self, id: str) -> ModelEntry:
        """Makes a model that is ready, or can be, the default. Raises why it cannot."""
        entry = self.resolve(id)
        if entry.state in (ModelState.FAILED, ModelState.DRAINING):
            entry.ready_engine()
        self._make_default(entry)
        return entry

    @asynccontextmanager
    async def lease(self, name: str, capability: Capability | None = None) -> AsyncIterator[Lease]:
        """A hold on the model `name` leads to; waits while it is loading, and loads it first if it
        is declared.

        Raises ModelNotFound, NoDefaultModel, CapabilityNotSupported, ModelFailed, ModelUnloaded,
        EngineRestarting, or why the load that was waited for failed.
        """
        entry = self.resolve(name)
        if capability is not None and capability not in entry.spec.capabilities:
            raise CapabilityNotSupported(
                f"model {entry.id!r} was loaded without {capability.name}",
                model=entry.id,
                capability=capability.name,
            )
        # After the check: nothing is loaded for a call that it could not serve.
        entry = await self._awake(entry)
        await entry.loaded()
        engine = entry.acquire()
        try:
            assert entry.engine_facts is not None
            yield Lease(entry.id, engine, entry.engine_facts.sequence_limit)
        finally:
            entry.release()

    async def _awake(self, entry: ModelEntry) -> ModelEntry:
        """`entry`, or its successor, on its way to ready if it is declared."""
        while entry.id in self._declared and entry.state is ModelState.DRAINING:
            await asyncio.shield(self._unloads[entry])
            entry = self.resolve(entry.id)
        if self._may_try_again(entry):
            self._leave(entry)
            entry = self.resolve(entry.id)
        if entry.state is ModelState.NOT_LOADED:
            self._check_open()
            entry.become(ModelState.LOADING)
            self._supervise(entry)
        return entry

    def _may_try_again(self, entry: ModelEntry) -> bool:
        """Whether a call may load a declared model whose last load failed: at once where room was
        missing, else only after a while, so that a broken file is not tried at every call."""
        if entry.id not in self._declared or entry.state is not ModelState.FAILED:
            return False
        assert entry.failed_at is not None
        pause_s = 0.0 if isinstance(entry.error, InsufficientMemory) else RETRY_S
        return time.monotonic() - entry.failed_at >= pause_s

    # The default.

    def _make_default(self, entry: ModelEntry) -> None:
        before = self.default_id
        self._forget_default(entry)
        self._defaults.append(entry.id)
        self._tell_default(before)

    def _unset_default(self, entry: ModelEntry) -> None:
        """Nothing is promoted in place of a default model that goes."""
        before = self.default_id
        if before == entry.id:
            self._defaults.clear()
        self._forget_default(entry)
        self._tell_default(before)

    def _forget_default(self, entry: ModelEntry) -> None:
        if entry.id in self._defaults:
            self._defaults.remove(entry.id)

    def _tell_default(self, before: str | None) -> None:
        if self.default_id != before:
            for observer in self._observers:
                observer.default_changed(self.default_id)

    # What entries tell.

    def _on_change(self, entry: ModelEntry) -> None:
        before = self.default_id
        declared = entry.id in self._declared
        if entry.state is ModelState.FAILED and entry.loaded_at is None and not declared:
            # A load that failed must not have changed where calls go.
            self._forget_default(entry)
        elif entry.state is ModelState.READY and entry.id in self._defaults:
            del self._defaults[: self._defaults.index(entry.id)]
        for observer in self._observers:
            observer.changed(entry)
        self._tell_default(before)
        self._look_again(entry)

    def _on_progress(self, entry: ModelEntry) -> None:
        for observer in self._observers:
            observer.progressed(entry)

    def _on_idle(self, entry: ModelEntry) -> None:
        self._look_again(entry)

    def _look_again(self, entry: ModelEntry) -> None:
        """Room and idleness depend on states and on who is idle."""
        self.memory.wake()
        self._reaper.look_again(entry)
