"""Commands of the memory: memory, predict."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from corral.cli.listing import summary
from corral.cli.options import Address, Json, takes
from corral.cli.output import harmless, print_json, size, stdout, table
from corral.cli.serving import SERVING, serving_options
from corral.cli.sources import SourceText
from corral.source import parse_source
from corral.sync import Client
from corral.v1.model_manager_pb2 import DeviceMemory, GetMemoryResponse, PredictMemoryResponse
from corral.v1.model_pb2 import DeviceFootprint, Model

DEVICE = ("total", "free", "budget", "reserved", "measured")
PARTS = ("weights", "cache", "compute")


def memory(address: Address = None, as_json: Json = False) -> None:
    """Show the memory: what there is, what models may take, set aside and really take."""
    with Client(address) as client:
        found = client.models.memory()
    if as_json:
        print_json(found)
        return
    console = stdout()
    console.print(_devices(found.devices))
    if any(model.devices for model in found.models):
        console.print()
        console.print(_models(found))


def _devices(devices: Iterable[DeviceMemory]) -> Table:
    rows = table("device", *DEVICE, "", numbers=DEVICE, wrapped=[""])
    for each in devices:
        rows.add_row(
            harmless(each.device),
            size(each.total_bytes),
            size(each.free_bytes),
            size(each.budget_bytes) if each.HasField("budget_bytes") else "no limit",
            size(each.reserved_bytes) or "0",
            size(each.measured_bytes) or "0",
            harmless(each.description),
        )
    return rows


def _models(found: GetMemoryResponse) -> Table:
    numbers = ("reserved", *PARTS, "measured")
    rows = table("model", "device", *numbers, numbers=numbers)
    for model in found.models:
        for each in model.devices:
            rows.add_row(model.id, *_footprint(each), size(each.measured_bytes))
    return rows


def _footprint(each: DeviceFootprint) -> tuple[str, ...]:
    return (
        harmless(each.device),
        size(each.reserved_bytes),
        size(each.weights_bytes),
        size(each.cache_bytes),
        size(each.compute_bytes),
    )


@takes("serving", SERVING)
def predict(
    text: SourceText,
    serving: Mapping[str, Any],
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Say what a model would take, and whether there is room. Loads nothing."""
    wanted = parse_source(text)
    with Client(address) as client:
        found = client.models.predict_memory(wanted, **serving_options(serving))
    if as_json:
        print_json(found)
        return
    rows = table("device", "needs", *PARTS, numbers=("needs", *PARTS))
    for each in found.devices:
        rows.add_row(*_footprint(each))
    console = stdout()
    console.print(rows)
    console.print(f"{summary(Model(facts=found.facts))}: {_verdict(found)}")


def _verdict(found: PredictMemoryResponse) -> str:
    if found.fits:
        return "it fits"
    if found.fits_after_eviction:
        return "it fits once idle models are unloaded: corral load --evict-idle"
    return "it does not fit"
