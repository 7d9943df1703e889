"""All runs of one workload on one model, and the file they are kept in."""

from pathlib import Path

import msgspec

from bench.machine import Machine


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. Where there are `faults`, it is no result."""

    side: str
    repetition: int
    metrics: dict[str, float]
    faults: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`about`: what the workload is, in a sentence. `commit`: what was measured."""

    workload: str
    model: str
    about: str
    slots: int
    context: int
    machine: Machine
    commit: str
    runs: list[Run]

    @property
    def faults(self) -> list[str]:
        """What went wrong, once each, with the side it went wrong on."""
        return sorted({f"{run.side}: {fault}" for run in self.runs for fault in run.faults})

    def series(self, side: str, metric: str) -> dict[int, float]:
        """The metric by repetition, of the runs that count."""
        return {
            run.repetition: run.metrics[metric]
            for run in self.runs
            if run.side == side and not run.faults and metric in run.metrics
        }

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.workload}-{self.model}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        return path


def read_outcomes(folder: Path) -> list[Outcome]:
    """All that are kept in a folder."""
    files = folder.glob("*.json")
    return [msgspec.json.decode(file.read_bytes(), type=Outcome) for file in sorted(files)]
