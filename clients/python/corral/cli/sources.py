"""Where a model comes from, as commands take it."""

from typing import Annotated

import typer
from rich.markup import escape

from corral.cli.options import checked
from corral.source import HUB_FORMS, parse_hub_source, parse_source
from corral.v1.model_pb2 import ModelSource

PANEL = "Models of the Hub"

SourceText = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        callback=checked(parse_source),
        help=escape(f"A GGUF file on the server's machine, demo, {HUB_FORMS}."),
        show_default=False,
    ),
]
HubSourceText = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        callback=checked(parse_hub_source),
        help=escape(f"{HUB_FORMS}."),
        show_default=False,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force-download",
        help="Download it again although it is there.",
        rich_help_panel=PANEL,
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Look at the server's cache only.", rich_help_panel=PANEL),
]


def source(text: str, *, force: bool, offline: bool) -> ModelSource:
    """The source of a command. Flags of the Hub that mean nothing are a mistake in usage."""
    found = parse_source(text)
    if (force or offline) and not found.HasField("hub"):
        raise typer.BadParameter(f"{text} is not from the Hub", param_hint="SOURCE")
    if found.HasField("hub"):
        found.hub.force, found.hub.offline = force, offline
    return found
