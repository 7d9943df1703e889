"""The watch command: the models as they change."""

import time
from typing import Annotated

import typer
from rich.live import Live

from corral.cli.listing import listing
from corral.cli.options import Address, Json
from corral.cli.output import harmless, phrase, print_json, stdout
from corral.cli.progress import STAGES
from corral.sync import Client
from corral.v1.model_manager_pb2 import LoadProgress, WatchModelsResponse
from corral.v1.model_pb2 import Model, ModelState


class Board:
    """The models as all changes so far leave them. Another thread may read `models` meanwhile:
    its members never change in number."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.loads: dict[str, LoadProgress] = {}  # how far each load is, by the model's id

    @property
    def in_order(self) -> list[Model]:
        """The models in order of their ids."""
        return [model for _, model in sorted(self.models.items())]

    def take(self, change: WatchModelsResponse) -> None:
        """Takes in one change; one of a newer server that we do not know changes nothing."""
        match change.WhichOneof("event"):
            case "snapshot":
                self.models = {model.id: model for model in change.snapshot.models}
                self.loads.clear()
            case "changed":
                self._put(change.changed)
            case "removed":
                self.models = {k: v for k, v in self.models.items() if k != change.removed.id}
                self.loads.pop(change.removed.id, None)
            case "progress":
                self.loads[change.progress.id] = change.progress.progress
            case "default_changed":
                for model in self.models.values():
                    model.is_default = model.id == change.default_changed.id

    def _put(self, model: Model) -> None:
        self.models = {**self.models, model.id: model}
        if model.state != ModelState.MODEL_STATE_LOADING:
            self.loads.pop(model.id, None)


def watch(
    lines: Annotated[
        bool, typer.Option("--lines", help="A line for each change on a terminal, too.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Follow the models until Ctrl-C: a table on a terminal, else a line for each change.

    A server that goes away is waited for.
    """
    console = stdout()
    with Client(address) as client, client.models.watch() as changes:
        if as_json:
            for change in changes:
                print_json(change)
        elif lines or not console.is_terminal:
            for change in changes:
                # A pipe may be slow to be read, but a line must be there when it is true.
                typer.echo(f"{time.strftime('%H:%M:%S')} {change.sequence} {line(change)}")
        else:
            board = Board()
            with Live(
                get_renderable=lambda: listing(board.in_order, board.loads),
                console=console,
                refresh_per_second=2,
            ) as live:
                for change in changes:
                    board.take(change)
                    live.refresh()


def line(change: WatchModelsResponse) -> str:
    """A change in a few words."""
    match change.WhichOneof("event"):
        case "snapshot":
            return "snapshot: " + (", ".join(map(_words, change.snapshot.models)) or "no models")
        case "changed":
            return _words(change.changed)
        case "removed":
            return f"{change.removed.id} removed"
        case "progress":
            load = change.progress.progress
            stage = STAGES.get(load.stage, "working")
            return f"{change.progress.id} {stage} {load.fraction:.0%}"
        case "default_changed":
            return f"{change.default_changed.id or 'none'} is the default"
        case _:
            return "something newer than this client"


def _words(model: Model) -> str:
    words = f"{model.id} {phrase(ModelState, model.state)}"
    if model.HasField("error"):
        return f"{words}: {harmless(model.error.message)}"
    if model.running_requests or model.waiting_requests:
        return f"{words}, {model.running_requests} running, {model.waiting_requests} waiting"
    return words
