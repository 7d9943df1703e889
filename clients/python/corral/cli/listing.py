"""Models as a table, and in a few words."""

import time
from collections.abc import Iterable, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corral.cli.output import harmless, phrase, size, span, table
from corral.cli.progress import STAGES
from corral.v1.model_manager_pb2 import LoadProgress
from corral.v1.model_pb2 import Capability, Mode, Model, ModelState
from corral.words import word

STYLES = {ModelState.MODEL_STATE_READY: "green", ModelState.MODEL_STATE_FAILED: "red"}
SERVING = (ModelState.MODEL_STATE_READY, ModelState.MODEL_STATE_DRAINING)
NUMBERS = ("size", "memory", "context", "slots", "run", "wait", "idle")
WRAPPED = ("can", "alias", "error")


def listing(models: Iterable[Model], loads: Mapping[str, LoadProgress] | None = None) -> Table:
    """The models as rows, the default one starred; `loads` tells how far they are, by id."""
    found = list(models)
    rest = [
        *(["alias"] if any(model.aliases for model in found) else []),
        *(["error"] if any(model.HasField("error") for model in found) else []),
    ]
    columns = ("id", "", "state", "mode", "can", *NUMBERS, *rest)
    rows = table(*columns, numbers=NUMBERS, wrapped=WRAPPED)
    rows.collapse_padding = True  # 80 columns are enough
    for model in found:
        facts, serves = model.facts, model.state in SERVING
        last: dict[str, RenderableType] = {
            "alias": ", ".join(model.aliases),
            "error": Text(harmless(model.error.message), "red"),
        }
        rows.add_row(
            model.id,
            "*" if model.is_default else "",
            Text(_state(model, (loads or {}).get(model.id)), STYLES.get(model.state, "yellow")),
            phrase(Mode, model.mode),
            ", ".join(word(Capability, can) for can in model.capabilities),
            size(facts.file_bytes),
            size(memory_bytes(model)),
            str(facts.context_size or ""),
            str(facts.slots or ""),
            str(model.running_requests) if serves else "",
            str(model.waiting_requests) if serves else "",
            _idle(model) if serves else "",
            *(last[name] for name in rest),
        )
    return rows


def _state(model: Model, load: LoadProgress | None) -> str:
    state = phrase(ModelState, model.state)
    if load is None or model.state != ModelState.MODEL_STATE_LOADING:
        return state
    return f"{STAGES.get(load.stage, state)} {load.fraction:.0%}"


def _idle(model: Model) -> str:
    """How long nobody called, of how long at most before it is unloaded."""
    if model.active_requests or not model.HasField("loaded_at"):
        return ""
    since = max(model.loaded_at.ToNanoseconds(), model.last_used_at.ToNanoseconds()) / 1e9
    idle = span(time.time() - since)
    if not model.HasField("keep_alive"):
        return idle
    return f"{idle}/{span(model.keep_alive.ToTimedelta().total_seconds())}"


def memory_bytes(model: Model) -> float:
    """What the model takes, over all devices: as measured, or as set aside before it is."""
    parts = sum(each.measured_bytes or each.reserved_bytes for each in model.memory)
    return parts or model.facts.memory_bytes


def summary(model: Model) -> str:
    """A model in a few words."""
    facts = model.facts
    parts = (
        harmless(facts.architecture),
        size(facts.file_bytes),
        f"context {facts.context_size}" if facts.context_size else "",
        f"{facts.slots} slots" if facts.slots else "",
    )
    return ", ".join(filter(None, parts))
