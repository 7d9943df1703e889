"""The life of one model's engines: load, serve, and after a death load again, but not for ever."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from corral_server.config import EngineTimeouts
from corral_server.errors import CorralError, InternalError, ModelFailed
from corral_server.hub.messages import PullProgress
from corral_server.ipc.messages import Loading, LoadStage
from corral_server.models.crowd import Crowd
from corral_server.models.engine_client import EngineClient
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.memory import Memory
from corral_server.models.source import SourceLocator

_log = logging.getLogger("corral.models")


@dataclass(frozen=True, slots=True)
class Stable:
    """What all engines of a server share: where they come from, where models are found, the memory
    they divide among them, and the processors."""

    engines: Engines
    timeouts: EngineTimeouts
    sources: SourceLocator
    memory: Memory
    crowd: Crowd = field(default_factory=Crowd)


async def supervise(entry: ModelEntry, stable: Stable) -> None:
    """Keeps `entry` served until it has failed, or until this task is cancelled.

    A first load that fails is not tried again: its reason lies in the file or the options. An
    engine that dies later is started again, after a pause that doubles from death to death.
    """
    deaths = _Deaths(stable.timeouts)
    while True:
        try:
            await _serve(entry, stable, deaths)
        except Exception as error:
            fault = _as_told(error, entry)
            if entry.loaded_at is None:
                entry.fail(fault)
            else:
                _note_death(entry, deaths)
        if entry.state is not ModelState.RESTARTING:
            return
        await asyncio.sleep(deaths.pause_s)


async def _serve(entry: ModelEntry, stable: Stable, deaths: "_Deaths") -> None:
    """One engine from start to death. Raises why it could not be loaded."""
    spec = stable.sources.admit(entry.spec)
    path = await stable.sources.locate(spec.source, lambda progress: _downloaded(entry, progress))
    stall_s = stable.timeouts.stall_s
    async with EngineClient.launch(stable.engines.take(), stable.crowd) as engine:
        entry.advance(Loading(LoadStage.PROBING, 0.0))
        probed = await engine.probe(path, spec, stall_s=stall_s)
        stable.memory.learn(probed.devices)
        entry.describe(probed.facts)
        await stable.memory.reserve(entry, probed.footprint)
        facts = await engine.load(entry.advance, stall_s=stall_s)
        entry.serve_by(engine, facts)
        _log.info("model %s is ready (engine %d)", entry.id, engine.pid)
        try:
            await engine.serve()
        except Exception as error:
            _as_told(error, entry)
        finally:
            # First the state, then the calls: who is told of the death finds the model restarting.
            if entry.state is ModelState.READY:
                _note_death(entry, deaths)
            engine.end(entry.gone())
    _log.error("the engine of model %s died: %s", entry.id, await engine.obituary())


def _note_death(entry: ModelEntry, deaths: "_Deaths") -> None:
    """Decides whether there will be another engine."""
    deaths.count(time.monotonic())
    if deaths.are_too_many:
        entry.fail(deaths.verdict(entry.id))
    else:
        entry.restart(deaths.pause_s)


def _as_told(error: Exception, entry: ModelEntry) -> CorralError:
    """What callers hear of `error`, which is logged here. A fault of ours is one of the model, too:
    nobody else would ever end the waiting for it."""
    if isinstance(error, CorralError):
        _log.warning("model %s could not be served: %s", entry.id, error)
        return error
    _log.error("model %s could not be served", entry.id, exc_info=error)
    return InternalError("its engine could not be run; the server's log says why")


def _downloaded(entry: ModelEntry, progress: PullProgress) -> None:
    done, total = progress.done_bytes, progress.total_bytes
    entry.advance(Loading(LoadStage.DOWNLOADING, done / max(total, 1), done, total))


class _Deaths:
    """An engine's deaths: how long to pause after the last one, and when to give up."""

    def __init__(self, timeouts: EngineTimeouts) -> None:
        self._timeouts = timeouts
        self._recent: list[float] = []
        self._in_a_row = 0

    def count(self, now: float) -> None:
        self._recent = [at for at in self._recent if now - at < self._timeouts.deaths_within_s]
        # An engine that lived through the whole window starts a new row.
        self._in_a_row = self._in_a_row + 1 if self._recent else 1
        self._recent.append(now)

    @property
    def are_too_many(self) -> bool:
        return len(self._recent) >= self._timeouts.deaths

    @property
    def pause_s(self) -> float:
        doubled = self._timeouts.backoff_s * 2.0 ** (self._in_a_row - 1)
        return min(doubled, self._timeouts.backoff_max_s)

    def verdict(self, id: str) -> ModelFailed:
        """Why there will be no other engine."""
        within_s = self._timeouts.deaths_within_s
        return ModelFailed(
            f"its engine died {len(self._recent)} times within {within_s:g} s; "
            "load the model again to try once more",
            model=id,
        )
