"""`corral config`: what a configuration says, without starting anything."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from corral_server.cli import flags
from corral_server.cli.flags import Flags
from corral_server.cli.settings import refuse, settle, warn
from corral_server.config import ModelSpec, PathSource, ServerConfig
from corral_server.errors import ConfigInvalid
from corral_server.settings import CONFIG
from corral_server.settings.settle import Settings
from corral_server.settings.show import as_json, as_toml, rows

DEFAULT_FILE = "corral.toml"

File = Annotated[str | None, typer.Argument(metavar="FILE", show_default=False)]

config = typer.Typer(
    help="Check and show a configuration.", no_args_is_help=True, add_completion=False
)


@config.command()
def check(file: File = None) -> None:
    """Say whether a server would take this file. Default: CORRAL_CONFIG, else corral.toml.

    All that is wrong is on stderr, one problem a line, and the exit status is 1.
    """
    name = file or os.environ.get(CONFIG) or DEFAULT_FILE
    settings = _read(name, Flags())
    warn([*settings.warnings, *_missing(settings)])
    typer.echo(f"{name}: {_summary(settings.config)}; good")


@config.command()
def show(
    file: File = None,
    as_json_: Annotated[
        bool, typer.Option("--json", help="Print a JSON object; each key has value and source.")
    ] = False,
    model: flags.Models = None,
    default: flags.Default = None,
    address: flags.Address = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    token_file: flags.TokenFile = None,
    budget: flags.Budget = None,
    grace: flags.Grace = None,
    log_level: flags.LogLevel = None,
) -> None:
    """Print what a server would do, started here with these flags, and who says so.

    FILE is what `corral serve` takes as --config. Everything that is not a default has its source
    behind it: file and line, variable, or flag.
    """
    said = Flags(
        model=model,
        default=default,
        address=address,
        tls_cert=tls_cert,
        tls_key=tls_key,
        token_file=token_file,
        budget=budget,
        grace=grace,
        log_level=log_level,
    )
    settings = _read(file, said)
    warn(settings.warnings)
    typer.echo((as_json if as_json_ else as_toml)(rows(settings)))


def _read(file: str | None, said: Flags) -> Settings:
    try:
        return settle(file, said)
    except ConfigInvalid as error:
        raise refuse(error) from error


def _summary(config: ServerConfig) -> str:
    """Example: 3 models, 1 on demand."""
    count = len(config.models) + len(config.on_demand)
    models = f"{count} model{'' if count == 1 else 's'}"
    return f"{models}, {len(config.on_demand)} on demand" if config.on_demand else models


def _missing(settings: Settings) -> Iterator[str]:
    """Files that are not there. They may be where the server will run, or by then."""
    models = settings.tree.value["models"]
    for spec in (*settings.config.models, *settings.config.on_demand):
        for path in _files(spec):
            if not Path(path).exists():
                yield f"{models.get(spec.id)}: {path} does not exist here"


def _files(spec: ModelSpec) -> Iterator[str]:
    if isinstance(spec.source, PathSource):
        yield spec.source.path
    yield from (adapter.path for adapter in spec.options.lora)
