"""Commands that bring models: load, pull."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from corral.cli.listing import summary
from corral.cli.models import Id
from corral.cli.options import Address, Json, checked, seconds, takes
from corral.cli.output import harmless, print_json, size, stdout
from corral.cli.progress import LoadBars, PullBars
from corral.cli.serving import SERVING, serving_options
from corral.cli.sources import Force, HubSourceText, Offline, SourceText, source
from corral.requests import LoadModelOptions
from corral.sync import Client
from corral.v1.model_manager_pb2 import (
    LoadModelResponse,
    LoadProgress,
    PulledModel,
    PullModelResponse,
    PullProgress,
)
from corral.v1.model_pb2 import Model


@takes("serving", SERVING)
def load(
    id: Id,
    text: SourceText,
    serving: Mapping[str, Any],
    default: Annotated[bool, typer.Option("--default", help="Make it the default model.")] = False,
    alias: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name for it; may be repeated."),
    ] = None,
    keep_alive: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            callback=checked(seconds),
            help="Unload it when nobody called for so long: 90s, 10m, 2h.",
        ),
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Never evict it.")] = False,
    evict_idle: Annotated[
        bool, typer.Option("--evict-idle", help="Unload idle models if it needs their room.")
    ] = False,
    force: Force = False,
    offline: Offline = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Load a model and wait until it is ready."""
    wanted = source(text, force=force, offline=offline)
    options = LoadModelOptions(
        **serving_options(serving),
        make_default=default,
        aliases=alias or (),
        keep_alive=None if keep_alive is None else seconds(keep_alive),
        pinned=pinned,
        evict_idle=evict_idle,
    )
    with Client(address) as client:
        if as_json:
            for event in client.models.load_events(id, wanted, **options):
                print_json(_load_message(event))
            return
        with LoadBars() as bars:
            model = client.models.load(id, wanted, on_progress=bars.show, **options)
    stdout().print(f"{model.id} is ready: {summary(model)}")


def _load_message(event: LoadProgress | Model) -> LoadModelResponse:
    if isinstance(event, Model):
        return LoadModelResponse(model=event)
    return LoadModelResponse(progress=event)


def pull(
    text: HubSourceText,
    force: Force = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Download a model from the Hugging Face Hub to the server; load nothing."""
    wanted = source(text, force=force, offline=False).hub
    with Client(address) as client:
        if as_json:
            for event in client.models.pull_events(wanted):
                print_json(_pull_message(event))
            return
        with PullBars() as bars:
            pulled = client.models.pull(wanted, on_progress=bars.show)
    stdout().print(f"{harmless(pulled.path)} ({size(pulled.size_bytes)}, {pulled.commit[:12]})")


def _pull_message(event: PullProgress | PulledModel) -> PullModelResponse:
    if isinstance(event, PulledModel):
        return PullModelResponse(pulled=event)
    return PullModelResponse(progress=event)
