"""The flags that say what a server is to do, for all commands that take them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from corral_server.errors import ConfigInvalid
from corral_server.settings.format import LOG_LEVELS
from corral_server.settings.lines import KeyPath
from corral_server.settings.overrides import BUDGET, CONFIG, DEFAULT_MODEL, overrides
from corral_server.settings.settle import Settings, load_settings

ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"A configuration file. Default: {CONFIG}, else none.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="ID=SOURCE",
        help="Load SOURCE (a path, demo, or hf:OWNER/REPO/FILE) as ID; repeat for more. Where no "
        "file names models, the first is the default.",
    ),
]
Default = Annotated[
    str | None,
    typer.Option("--default", metavar="ID", help="The model calls go to that name none."),
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where to listen. Default: 127.0.0.1:50051.")
]
TlsCert = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Serve over TLS with this certificate, PEM. Needs --tls-key."
    ),
]
TlsKey = Annotated[
    str | None, typer.Option(metavar="FILE", help="The certificate's private key, PEM.")
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Serve only those who show one of its tokens, one on a line. Health stays open.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help='What models may take together: "12 GiB", auto, none, or "RAM=8 GiB,CUDA0=20 GiB". '
        "Default: none.",
    ),
]
Grace = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long calls may go on when stopped. Default: 30s."),
]
LogLevel = Annotated[
    str | None, typer.Option(metavar="LEVEL", help=f"{', '.join(LOG_LEVELS)}. Default: info.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags as they were given; None says nothing."""

    model: Sequence[str] | None = None
    default: str | None = None
    address: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    token_file: str | None = None
    budget: str | None = None
    grace: str | None = None
    log_level: str | None = None

    def said(self) -> Iterator[tuple[str, KeyPath, str]]:
        """Each flag, the key it stands for, and what it says."""
        keys: list[tuple[str, KeyPath, str | None]] = [
            ("--default", DEFAULT_MODEL, self.default),
            ("--address", ("server", "address"), self.address),
            ("--tls-cert", ("server", "tls_cert"), self.tls_cert),
            ("--tls-key", ("server", "tls_key"), self.tls_key),
            ("--token-file", ("server", "token_file"), self.token_file),
            ("--budget", BUDGET, self.budget),
            ("--grace", ("server", "grace"), self.grace),
            ("--log-level", ("server", "log_level"), self.log_level),
        ]
        yield from ((flag, path, text) for flag, path, text in keys if text is not None)
        yield from _sources(self.model or ())


def settings(file: str | None, flags: Flags) -> Settings:
    """What the flags, the environment and the file say together. Raises ConfigInvalid."""
    return load_settings(file, os.environ, overrides(flags.said()))


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


def refuse(error: ConfigInvalid) -> typer.Exit:
    """Shows every problem on a line; what is returned is to be raised."""
    for problem in error.message.splitlines():
        typer.secho(f"error: {problem}", fg="red", err=True)
    return typer.Exit(1)


def warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)
