"""`corral serve`: from a command line to a running server."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from corral_server import log
from corral_server.app import App, run
from corral_server.config import DemoSource, ModelSource, ModelSpec, PathSource, ServerConfig
from corral_server.errors import CorralError
from corral_server.rpc.convert import MODEL_ID, MODEL_ID_RULE

DEMO_ID = "demo"
_DEFAULTS = ServerConfig()
_LEVELS = ("debug", "info", "warning", "error")


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="ID=SOURCE",
            help="Load SOURCE (a path, or demo) as ID; repeat for more. The first is the default.",
        ),
    ] = None,
    address: Annotated[
        str, typer.Option(envvar="CORRAL_ADDRESS", help="Where to listen, HOST:PORT.")
    ] = _DEFAULTS.address,
    default: Annotated[
        str | None, typer.Option(help="The id calls go to that name no model.")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds running calls may go on when stopped.")
    ] = _DEFAULTS.grace_s,
    log_level: Annotated[str, typer.Option(help=", ".join(_LEVELS))] = "info",
) -> None:
    """Serve models over gRPC. With no --model, the embedded demo model."""
    if log_level not in _LEVELS:
        raise typer.BadParameter(f"{log_level!r} is none of {', '.join(_LEVELS)}")
    log.set_up(log_level)
    specs = tuple(_spec(text) for text in model or [f"{DEMO_ID}=demo"])
    config = ServerConfig(
        address=address,
        models=specs,
        default_model=_default(default, specs),
        grace_s=grace,
    )
    try:
        asyncio.run(run(config, _greet))
    except CorralError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(1) from error


def _spec(text: str) -> ModelSpec:
    id, equals, source = text.partition("=")
    if not (id and equals and source):
        raise typer.BadParameter(f"{text!r} is not ID=SOURCE", param_hint="--model")
    if not MODEL_ID.fullmatch(id):
        raise typer.BadParameter(f"the id {id!r} {MODEL_ID_RULE}", param_hint="--model")
    return ModelSpec(id=id, source=_source(source))


def _source(text: str) -> ModelSource:
    return DemoSource() if text == "demo" else PathSource(str(Path(text).absolute()))


def _default(asked: str | None, specs: tuple[ModelSpec, ...]) -> str:
    ids = [spec.id for spec in specs]
    if len(set(ids)) < len(ids):
        raise typer.BadParameter("two models have the same id", param_hint="--model")
    if asked is not None and asked not in ids:
        raise typer.BadParameter(f"{asked!r} is none of {', '.join(ids)}", param_hint="--default")
    return asked or ids[0]


def _greet(app: App, failures: list[CorralError]) -> None:
    """What a person sees once the models are there."""
    for failure in failures:
        typer.secho(f"error: {failure}", fg="red", err=True)
    ready = ", ".join(entry.id for entry in app.registry.entries() if entry.error is None)
    typer.echo(f"Corral serves {ready or 'no model'} on {app.address}. Ctrl-C stops it.")
    typer.echo(f"Talk to it: {_program()} chat")


def _program() -> str:
    """What a person types to start `corral`: its path from here where it is not on PATH."""
    return "corral" if shutil.which("corral") else os.path.relpath(sys.argv[0])
