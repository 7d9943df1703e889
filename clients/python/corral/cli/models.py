"""Commands of the registry: models, unload, default, resolve."""

from typing import Annotated

import typer

from corral.cli.listing import listing
from corral.cli.options import Address, Json
from corral.cli.output import phrase, print_json, stderr, stdout
from corral.sync import Client
from corral.v1.model_manager_pb2 import ListModelsResponse, ResolveReason, UnloadModelResponse
from corral.v1.model_pb2 import ModelState

Id = Annotated[str, typer.Argument(metavar="ID", help="The model's id.", show_default=False)]


def models(address: Address = None, as_json: Json = False) -> None:
    """List the models the server knows; the default one is starred."""
    with Client(address) as client:
        found = client.models.list()
    if as_json:
        print_json(ListModelsResponse(models=found))
    elif found:
        stdout().print(listing(found))
    else:
        stderr().print("no models; load one with: corral load ID SOURCE", style="dim")


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


def resolve(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="An id or an alias. Default: the default model."),
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show which model a name leads to, and why. Loads nothing."""
    with Client(address) as client:
        found = client.models.resolve(name)
    if as_json:
        print_json(found)
        return
    state = "a call loads it" if found.would_load else phrase(ModelState, found.model.state)
    stdout().print(f"{found.model.id} (by {phrase(ResolveReason, found.reason)}; {state})")
