"""Commands of the registry: models, load, unload, default."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from corral.cli.options import Address, Json, count
from corral.cli.output import harmless, print_json, size, stderr, stdout, word
from corral.cli.progress import LoadProgressBars
from corral.requests import LoadModelOptions
from corral.source import parse_source
from corral.sync import Client
from corral.v1.model_manager_pb2 import (
    ListModelsResponse,
    LoadModelResponse,
    LoadProgress,
    UnloadModelResponse,
)
from corral.v1.model_pb2 import Capability, Model, ModelState

STATE_STYLES = {ModelState.MODEL_STATE_READY: "green", ModelState.MODEL_STATE_FAILED: "red"}


class Can(StrEnum):
    """What a model can be asked to do, as --capability takes it."""

    GENERATE = "generate"
    CHAT = "chat"


CAPABILITIES = {
    Can.GENERATE: Capability.CAPABILITY_GENERATE,
    Can.CHAT: Capability.CAPABILITY_CHAT,
}


def _check_source(text: str) -> str:
    try:
        parse_source(text)
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err
    return text


Id = Annotated[str, typer.Argument(metavar="ID", help="The model's id.", show_default=False)]


def models(address: Address = None, as_json: Json = False) -> None:
    """List the models the server knows."""
    with Client(address) as client:
        found = client.models.list()
    if as_json:
        print_json(ListModelsResponse(models=found))
    elif found:
        stdout().print(table(found))
    else:
        stderr().print("no models; load one with: corral load ID SOURCE", style="dim")


def table(found: Iterable[Model]) -> Table:
    """The models as rows; the default one is starred."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "", "state", "can", "architecture"):
        rows.add_column(name)
    for name in ("size", "context", "slots", "active", "memory"):
        rows.add_column(name, justify="right")
    rows.add_column("error")
    for model in found:
        facts = model.facts
        rows.add_row(
            model.id,
            "*" if model.is_default else "",
            Text(word(ModelState, model.state), STATE_STYLES.get(model.state, "yellow")),
            ", ".join(word(Capability, can) for can in model.capabilities),
            harmless(facts.architecture),
            size(facts.file_bytes),
            str(facts.context_size or ""),
            str(facts.slots or ""),
            str(model.active_requests),
            size(facts.memory_bytes),
            Text(harmless(model.error.message), "red"),
        )
    return rows


def load(
    id: Id,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            callback=_check_source,
            help="A GGUF file on the server's machine, or demo.",
            show_default=False,
        ),
    ],
    default: Annotated[bool, typer.Option("--default", help="Make it the default model.")] = False,
    capability: Annotated[
        list[Can] | None,
        typer.Option(help="What it may be asked to do; may be repeated. Default: everything."),
    ] = None,
    context_size: Annotated[int | None, count("Tokens the KV cache holds, over all slots.")] = None,
    slots: Annotated[int | None, count("Sequences computed at the same time.")] = None,
    batch_size: Annotated[int | None, count("Tokens computed in one step at most.")] = None,
    threads: Annotated[int | None, count("Processor threads of its engine.")] = None,
    max_waiting: Annotated[int | None, count("Requests that may wait for a slot.")] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Load a model and wait until it is ready."""
    options = LoadModelOptions(
        make_default=default,
        capabilities=[CAPABILITIES[name] for name in capability or ()],
        context_size=context_size,
        slots=slots,
        batch_size=batch_size,
        threads=threads,
        max_waiting=max_waiting,
    )
    with Client(address) as client:
        if as_json:
            for event in client.models.load_events(id, source, **options):
                print_json(_message(event))
            return
        with LoadProgressBars() as bars:
            model = client.models.load(id, source, on_progress=bars.show, **options)
    stdout().print(f"{model.id} is ready: {summary(model)}")


def _message(event: LoadProgress | Model) -> LoadModelResponse:
    if isinstance(event, Model):
        return LoadModelResponse(model=event)
    return LoadModelResponse(progress=event)


def summary(model: Model) -> str:
    """A model in a few words."""
    facts = model.facts
    parts = (
        harmless(facts.architecture),
        size(facts.file_bytes),
        f"context {facts.context_size}",
        f"{facts.slots} slots",
    )
    return ", ".join(parts)


def unload(
    id: Id,
    force: Annotated[bool, typer.Option("--force", help="End its running calls at once.")] = False,
    drain_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, max=3600, help="How long they may go on. Default: 30."
        ),
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Unload a model, and wait until its memory is back."""
    with Client(address) as client:
        remaining = client.models.unload(id, force=force, drain_timeout=drain_timeout)
    if as_json:
        print_json(UnloadModelResponse(remaining_ids=remaining))
    else:
        stdout().print(f"{id} is unloaded; still there: {', '.join(remaining) or 'none'}")


def default(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="The new default model.")] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show the id of the default model, or choose another."""
    with Client(address) as client:
        model = client.models.get_default() if id is None else client.models.set_default(id)
    if as_json:
        print_json(model)
    else:
        stdout().print(model.id)
