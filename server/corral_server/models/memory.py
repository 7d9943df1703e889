"""The memory of all models: who may have how much, and who goes to make room."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from corral_server.config import BudgetConfig
from corral_server.errors import InsufficientMemory
from corral_server.ipc.messages import Device, DeviceFootprint
from corral_server.models.budget import (
    RAM,
    Bytes,
    Limits,
    Shortage,
    add,
    choose_victims,
    find_shortage,
)
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.machine import read_memory

_AUTO_SHARE = 0.8


class Memory:
    """Stores no sum: what is used is read off the entries whenever it matters."""

    def __init__(
        self,
        config: BudgetConfig,
        *,
        entries: Callable[[], Iterable[ModelEntry]],
        evict: Callable[[ModelEntry], Awaitable[None]],
        min_residency_s: float,
        patience_s: float,
    ) -> None:
        """`evict` closes an idle model to calls at once and is waited for. `min_residency_s`: how
        long a model stays at least. `patience_s`: how long a load waits for models that may go
        later."""
        self._config = config
        self._entries = entries
        self._evict = evict
        self._min_residency_s = min_residency_s
        self._patience_s = patience_s
        self._changed = asyncio.Event()
        self.devices: tuple[Device, ...] = ()
        self._auto = self._auto_limits()

    def learn(self, devices: tuple[Device, ...]) -> None:
        """The GPUs, as the first engine saw them: what is free before models take it is the
        budget of `auto`."""
        if devices and not self.devices:
            self.devices = devices
            self._auto = self._auto_limits()

    @property
    def limits(self) -> Limits:
        if self._config.auto:
            return self._auto
        return Limits(total=self._config.total_bytes, devices=self._config.device_bytes)

    def _auto_limits(self) -> Limits:
        ram = {RAM: int(read_memory().total * _AUTO_SHARE)}
        return Limits(devices=ram | {device.name: device.free_bytes for device in self.devices})

    def used(self) -> dict[str, int]:
        """What is set aside, by device."""
        return add(entry.reserved for entry in self._entries())

    def wake(self) -> None:
        """Something about a model has changed: who waits for room looks again."""
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    async def reserve(self, entry: ModelEntry, footprint: tuple[DeviceFootprint, ...]) -> None:
        """Sets aside what `entry` will take, all of it or nothing.

        Where `entry` evicts, idle models go first if that makes room, and models that are busy or
        have just come are waited for. Raises InsufficientMemory.
        """
        wanted = {part.device: part.total_bytes for part in footprint}
        give_up_at = time.monotonic() + self._patience_s
        while (shortage := self.shortage(wanted, but=entry)) is not None:
            if not entry.spec.evicts or not self._may_fit(entry, wanted):
                raise _insufficient(entry, shortage)
            victims = self.victims(wanted, but=entry)
            if victims:
                # All are closed before anything is waited for: a call that comes now waits, too.
                await asyncio.gather(*[self._evict(victim) for victim in victims])
            elif time.monotonic() < give_up_at:
                await self._wait_for_change(give_up_at)
            else:
                raise _insufficient(entry, shortage)
        entry.footprint = footprint

    def shortage(self, wanted: Bytes, *, but: ModelEntry | None = None) -> Shortage | None:
        """Why `wanted` does not fit beside all there is now, `but` left out; None if it does."""
        used = add(entry.reserved for entry in self._entries() if entry is not but)
        return find_shortage(self.limits, used, wanted)

    def victims(self, wanted: Bytes, *, but: ModelEntry | None = None) -> list[ModelEntry] | None:
        """The models that would go now so that `wanted` fits; None if that is not enough."""
        others = [entry for entry in self._entries() if entry is not but]
        return choose_victims(
            self.limits,
            add(entry.reserved for entry in others),
            wanted,
            [
                (entry, entry.reserved)
                for entry in sorted(others, key=_last_use)
                if self._may_go(entry)
            ],
        )

    def _may_fit(self, entry: ModelEntry, wanted: Bytes) -> bool:
        """Whether there would be room without all that are not pinned, whatever they do now."""
        staying = add(
            other.reserved for other in self._entries() if other.spec.pinned and other is not entry
        )
        return find_shortage(self.limits, staying, wanted) is None

    def _may_go(self, entry: ModelEntry) -> bool:
        return (
            entry.state is ModelState.READY
            and entry.is_idle
            and not entry.spec.pinned
            and self._residency_left_s(entry) <= 0
        )

    def _residency_left_s(self, entry: ModelEntry) -> float:
        if entry.ready_at is None:
            return 0.0
        return entry.ready_at + self._min_residency_s - time.monotonic()

    async def _wait_for_change(self, give_up_at: float) -> None:
        """Until something changes, or a model has stayed long enough, or patience ends."""
        now = time.monotonic()
        resident = (self._residency_left_s(entry) for entry in self._entries())
        timeout_s = min([give_up_at - now, *(left for left in resident if left > 0)])
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass


def _last_use(entry: ModelEntry) -> float:
    return entry.idle_since or 0.0


def _insufficient(entry: ModelEntry, shortage: Shortage) -> InsufficientMemory:
    return InsufficientMemory(
        f"model {entry.id!r} needs {_size(shortage.required)} of {shortage.device}; "
        f"{_size(shortage.available)} of {_size(shortage.limit)} are left",
        model=entry.id,
        device=shortage.device,
        required=shortage.required,
        available=shortage.available,
        limit=shortage.limit,
    )


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**28 else f"{size / 2**20:.1f} MiB"
