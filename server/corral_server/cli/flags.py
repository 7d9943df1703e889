"""The flags that say what a server is to do, for all commands that take them.

Nothing else is imported here: `corral serve` reads its flags before it has anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from corral_server.settings import CONFIG, LOG_LEVELS

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
