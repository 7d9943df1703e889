"""From flags to a running server, and what a person sees of it."""

import asyncio
import os
import shutil
import sys

import typer

from corral_server import log
from corral_server.app import App, run
from corral_server.cli.flags import Flags
from corral_server.cli.settings import refuse, settle, warn
from corral_server.config import ServerConfig
from corral_server.errors import ConfigInvalid, CorralError
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.settings import CONFIG


def run_server(config: str | None, flags: Flags, engines: Engines) -> None:
    """Serves until it is told to stop. Raises typer.Exit where it cannot."""

    def read_again() -> ServerConfig:
        return settle(config, flags).config

    try:
        settings = settle(config, flags)
    except ConfigInvalid as error:
        raise refuse(error) from error
    log.set_up(settings.config.log_level)
    warn(settings.warnings)
    has_file = bool(config or os.environ.get(CONFIG))
    try:
        asyncio.run(run(settings.config, engines, _greet, read_again if has_file else None))
    except CorralError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(1) from error


def _greet(app: App, failures: list[CorralError]) -> None:
    """What a person sees once the models are there."""
    for failure in failures:
        typer.secho(f"error: {failure}", fg="red", err=True)
    there = ", ".join(_told(entry) for entry in app.registry.entries() if entry.error is None)
    typer.echo(f"Corral serves {there or 'no model'} on {app.address}. Ctrl-C stops it.")
    typer.echo(f"Talk to it: {_program()} chat{_elsewhere(app.address)}")


def _told(entry: ModelEntry) -> str:
    return f"{entry.id} (on demand)" if entry.state is ModelState.NOT_LOADED else entry.id


def _elsewhere(address: str) -> str:
    """The flag that leads a client on this machine to an address that is not the default."""
    host, _, port = address.rpartition(":")
    reachable = f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else address
    return "" if reachable == ServerConfig().address else f" --address {reachable}"


def _program() -> str:
    """What a person types to start `corral`: its path from here where it is not on PATH."""
    return "corral" if shutil.which("corral") else os.path.relpath(sys.argv[0])
