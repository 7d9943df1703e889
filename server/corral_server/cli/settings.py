"""From flags, environment and file to settings, and what a person sees of their problems."""

import os
from collections.abc import Iterable, Iterator, Sequence

import typer

from corral_server.cli.flags import Flags
from corral_server.errors import ConfigInvalid
from corral_server.settings.lines import KeyPath
from corral_server.settings.overrides import BUDGET, DEFAULT_MODEL, overrides
from corral_server.settings.settle import Settings, load_settings


def settle(file: str | None, flags: Flags) -> Settings:
    """What the flags, the environment and the file say together. Raises ConfigInvalid."""
    return load_settings(file, os.environ, overrides(_said(flags)))


def refuse(error: ConfigInvalid) -> typer.Exit:
    """Shows every problem on a line; what is returned is to be raised."""
    for problem in error.message.splitlines():
        typer.secho(f"error: {problem}", fg="red", err=True)
    return typer.Exit(1)


def warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)


def _said(flags: Flags) -> Iterator[tuple[str, KeyPath, str]]:
    """Each flag, the key it stands for, and what it says."""
    keys: list[tuple[str, KeyPath, str | None]] = [
        ("--default", DEFAULT_MODEL, flags.default),
        ("--address", ("server", "address"), flags.address),
        ("--tls-cert", ("server", "tls_cert"), flags.tls_cert),
        ("--tls-key", ("server", "tls_key"), flags.tls_key),
        ("--token-file", ("server", "token_file"), flags.token_file),
        ("--budget", BUDGET, flags.budget),
        ("--grace", ("server", "grace"), flags.grace),
        ("--log-level", ("server", "log_level"), flags.log_level),
    ]
    yield from ((flag, path, text) for flag, path, text in keys if text is not None)
    yield from _sources(flags.model or ())


def _sources(models: Sequence[str]) -> Iterator[tuple[str, KeyPath, str]]:
    seen = set()
    for text in models:
        id, equals, source = text.partition("=")
        if not (id and equals and source):
            raise typer.BadParameter(f"{text!r} is not ID=SOURCE", param_hint="--model")
        if id in seen:
            raise typer.BadParameter(f"two models have the id {id!r}", param_hint="--model")
        seen.add(id)
        yield "--model", ("models", id, "source"), source
