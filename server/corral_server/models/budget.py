"""What models may take together, and who goes to make room. Pure: nothing here changes anything.

What is used is never stored: it is the sum over the models that are there, so it cannot drift.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

RAM = "RAM"

# Bytes by device. A device that is not there takes nothing.
Bytes = Mapping[str, int]

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds in force. `total`: of RAM and all GPUs as one pool. `devices`: of each on its own.

    None and a device that is not named mean no limit.
    """

    total: int | None = None
    devices: Bytes = field(default_factory=dict)

    @property
    def of_ram(self) -> int | None:
        """What bounds RAM: its own limit or, with one pool for everything, that."""
        return self.devices.get(RAM, self.total)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Where what is wanted does not fit: `device` is a device's name, or "total" for the pool."""

    device: str
    required: int
    available: int
    limit: int

    @property
    def is_hopeless(self) -> bool:
        """Whether it would not fit even if nothing else were there."""
        return self.required > self.limit


def add(footprints: Iterable[Bytes]) -> dict[str, int]:
    """The sum of `footprints`, device by device."""
    total: dict[str, int] = {}
    for footprint in footprints:
        for device, size in footprint.items():
            total[device] = total.get(device, 0) + size
    return total


def find_shortage(limits: Limits, used: Bytes, wanted: Bytes) -> Shortage | None:
    """The first bound that `used` and `wanted` together break: the pool, then RAM, then GPUs."""
    if limits.total is not None:
        shortage = _shortage("total", limits.total, sum(used.values()), sum(wanted.values()))
        if shortage is not None:
            return shortage
    for device in sorted(limits.devices, key=lambda name: (name != RAM, name)):
        limit = limits.devices[device]
        shortage = _shortage(device, limit, used.get(device, 0), wanted.get(device, 0))
        if shortage is not None:
            return shortage
    return None


def _shortage(device: str, limit: int, used: int, wanted: int) -> Shortage | None:
    if wanted == 0 or used + wanted <= limit:
        return None
    return Shortage(device, required=wanted, available=max(limit - used, 0), limit=limit)


def choose_victims(
    limits: Limits, used: Bytes, wanted: Bytes, candidates: Iterable[tuple[Owner, Bytes]]
) -> list[Owner] | None:
    """Who must go so that `wanted` fits, from `candidates` in the order in which they may go.

    As few as that order allows: one whose going turns out not to be needed stays. None if
    all of them together would not be enough; then nobody goes.
    """
    going: list[tuple[Owner, Bytes]] = []
    for candidate in candidates:
        if find_shortage(limits, _without(used, going), wanted) is None:
            break
        going.append(candidate)
    if find_shortage(limits, _without(used, going), wanted) is not None:
        return None
    for candidate in list(going):
        others = [one for one in going if one is not candidate]
        if find_shortage(limits, _without(used, others), wanted) is None:
            going = others
    return [owner for owner, _ in going]


def _without(used: Bytes, going: Iterable[tuple[object, Bytes]]) -> dict[str, int]:
    freed = add(footprint for _, footprint in going)
    return {device: size - freed.get(device, 0) for device, size in used.items()}
