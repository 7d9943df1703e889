"""One model in the registry: its state, who uses it, and how far its load is."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum

from corral_server.config import HubSource, ModelSpec
from corral_server.errors import CorralError, EngineRestarting, ModelFailed, ModelUnloaded
from corral_server.ipc.messages import (
    DeviceFootprint,
    EngineFacts,
    Loading,
    LoadStage,
    ModelFacts,
)
from corral_server.models.budget import RAM
from corral_server.models.engine_client import EngineClient


class ModelState(Enum):
    """Where a model is in its life. Who makes it so is said behind each."""

    NOT_LOADED = "not_loaded"  # the configuration declares it; the first call loads it
    LOADING = "loading"  # a caller asked for it
    READY = "ready"  # its engine says so
    RESTARTING = "restarting"  # its engine died
    DRAINING = "draining"  # a caller asked for its end
    FAILED = "failed"  # its load failed, or its engine died too often
    UNLOADED = "unloaded"  # its engine is gone and so is its entry; nobody new sees this


_NEXT = {
    ModelState.NOT_LOADED: {ModelState.LOADING, ModelState.UNLOADED},
    ModelState.LOADING: {ModelState.READY, ModelState.FAILED, ModelState.DRAINING},
    ModelState.READY: {ModelState.RESTARTING, ModelState.FAILED, ModelState.DRAINING},
    ModelState.RESTARTING: {ModelState.READY, ModelState.FAILED, ModelState.DRAINING},
    ModelState.DRAINING: {ModelState.UNLOADED},
    ModelState.FAILED: {ModelState.DRAINING, ModelState.UNLOADED},
    ModelState.UNLOADED: set[ModelState](),
}


@dataclass(slots=True, eq=False)
class ModelEntry:
    """A model that was asked for. Changed only by its registry and its supervisor."""

    spec: ModelSpec
    on_change: Callable[["ModelEntry"], None]
    on_progress: Callable[["ModelEntry"], None] = field(default=lambda _: None)
    on_idle: Callable[["ModelEntry"], None] = field(default=lambda _: None)
    state: ModelState = ModelState.NOT_LOADED
    progress: Loading = Loading(LoadStage.PROBING, 0.0)
    model_facts: ModelFacts | None = None
    engine_facts: EngineFacts | None = None
    engine: EngineClient | None = None
    error: CorralError | None = None
    retry_after_s: float = 0.0
    loaded_at: float | None = None
    last_used_at: float | None = None
    leases: int = 0
    callers_waiting: int = 0
    restarts: int = 0
    footprint: tuple[DeviceFootprint, ...] = ()
    ready_at: float | None = None
    idle_since: float | None = None
    failed_at: float | None = None
    _hurried: bool = False
    _num_stages: int = 0
    _stages: deque[tuple[int, Loading]] = field(default_factory=lambda: deque(maxlen=8))
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if isinstance(self.spec.source, HubSource):
            self.progress = Loading(LoadStage.DOWNLOADING, 0.0)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it and nobody waits to."""
        return self.leases == 0 and self.callers_waiting == 0

    @property
    def reserved(self) -> dict[str, int]:
        """Its share of the memory, bytes by device: as predicted, and as long as it has an engine
        that is ready, of RAM what that really grew by."""
        shares = {part.device: part.total_bytes for part in self.footprint}
        if self.engine is not None and self.engine_facts and self.engine_facts.growth_bytes:
            shares[RAM] = self.engine_facts.growth_bytes
        return shares

    @property
    def expires_at(self) -> float | None:
        """When it has been idle for too long, on the monotonic clock; None while it is in use."""
        if self.spec.keep_alive_s is None or not self.is_idle or self.idle_since is None:
            return None
        return self.idle_since + self.spec.keep_alive_s

    def become(self, state: ModelState) -> None:
        """The one way a state changes."""
        assert state in _NEXT[self.state], f"{self.id}: {self.state.name} to {state.name}"
        self.state = state
        self.on_change(self)
        self._notify()

    def describe(self, facts: ModelFacts) -> None:
        """The engine has looked into the file."""
        self.model_facts = facts
        self._notify()

    def advance(self, progress: Loading) -> None:
        if progress.stage is not self.progress.stage:
            self._num_stages += 1
            self._stages.append((self._num_stages, progress))
        self.progress = progress
        self.on_progress(self)
        self._notify()

    def serve_by(self, engine: EngineClient, facts: EngineFacts) -> None:
        self.engine, self.engine_facts = engine, facts
        self.loaded_at = time.time()
        self.ready_at = self.idle_since = time.monotonic()
        self.become(ModelState.READY)

    def fail(self, error: CorralError) -> None:
        self.engine, self.error, self.footprint = None, error, ()
        self.failed_at = time.monotonic()
        self.become(ModelState.FAILED)

    def restart(self, retry_after_s: float) -> None:
        """The engine is gone; the next one is tried in `retry_after_s`."""
        self.engine, self.retry_after_s = None, retry_after_s
        self.restarts += 1
        if self.state is not ModelState.RESTARTING:
            self.become(ModelState.RESTARTING)

    def acquire(self) -> EngineClient:
        """Takes a lease. Raises why there is none to be had; LOADING must have been waited out."""
        engine = self.ready_engine()
        self.leases += 1
        self.last_used_at = time.time()
        return engine

    def release(self) -> None:
        self.leases -= 1
        self.idle_since = time.monotonic()
        self._tell_if_idle()

    def ready_engine(self) -> EngineClient:
        """The engine, or why there is none."""
        match self.state:
            case ModelState.READY:
                assert self.engine is not None
                return self.engine
            case ModelState.RESTARTING:
                raise self.restarting()
            case ModelState.FAILED:
                raise self.failed()
            case _:
                raise self.unloaded()

    def gone(self) -> CorralError:
        """Why calls end when the engine is gone."""
        match self.state:
            case ModelState.DRAINING:
                return self.unloaded()
            case ModelState.FAILED:
                return self.failed()
            case _:
                return self.restarting()

    def failed(self) -> ModelFailed:
        return ModelFailed(f"model {self.id!r} failed: {self.error}", model=self.id)

    def restarting(self) -> EngineRestarting:
        return EngineRestarting(
            f"the engine of model {self.id!r} died and is being restarted",
            retry_after_s=max(self.retry_after_s, 0.5),
            model=self.id,
        )

    def unloaded(self) -> ModelUnloaded:
        return ModelUnloaded(f"model {self.id!r} is being unloaded", model=self.id)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds, looking whenever something about this entry changes."""
        while not condition():
            await self._changed.wait()

    async def loaded(self) -> None:
        """Waits while the model is loading; the one it is loaded for counts as using it. Raises why
        the load that was waited for failed."""
        must_wait = self.state is ModelState.LOADING
        if not must_wait:
            return
        self.callers_waiting += 1
        try:
            await self.until(lambda: self.state is not ModelState.LOADING)
        finally:
            self.callers_waiting -= 1
            self._tell_if_idle()
        if self.state is ModelState.FAILED:
            assert self.error is not None
            raise self.error

    async def drained(self) -> None:
        """Waits until no call is left, or until `stop_draining`."""
        await self.until(lambda: self.is_idle or self._hurried)

    def stop_draining(self) -> None:
        self._hurried = True
        self._notify()

    async def watch_load(self) -> AsyncIterator[Loading]:
        """Progress until the model is ready; a slow reader skips some, but no stage. Raises why it
        never will."""
        told: Loading | None = None
        seen = self._num_stages
        while True:
            is_loading = self.state in (ModelState.LOADING, ModelState.RESTARTING)
            entered = next((stage for stage in self._stages if stage[0] > seen), None)
            if told is None and is_loading:
                told = self.progress
                yield told
            elif entered is not None:
                seen, told = entered
                if told.stage is self.progress.stage:
                    told = self.progress
                yield told
            elif not is_loading:
                break
            elif self.progress != told:
                told = self.progress
                yield told
            else:
                await self._changed.wait()
        if self.state is ModelState.FAILED:
            assert self.error is not None
            raise self.error
        self.ready_engine()

    def _tell_if_idle(self) -> None:
        if self.is_idle:
            self.on_idle(self)
            self._notify()

    def _notify(self) -> None:
        """Wakes all who wait; they look again and wait for the next change."""
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
