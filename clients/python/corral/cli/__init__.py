"""The `corral` command. It calls a server through corral.Client; nothing else of this package
imports it, nor what it needs beyond the client."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

NEEDS = ("prompt_toolkit", "rich", "typer")
SERVER = "corral_server"
HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `corral ARGUMENTS`, by default those of this process, and exits: 0 if all went well,
    1 after an error of the server, 2 after a mistake in the arguments."""
    if not all(map(find_spec, NEEDS)):
        sys.exit("the corral command needs more packages: pip install 'corral-client[cli]'")
    begun = _begin(sys.argv[1:] if arguments is None else arguments)

    from corral.cli.app import run

    run(arguments, begun)


def _begin(arguments: Sequence[str]) -> object:
    """What `corral serve` has begin already, since to read its arguments takes 30 ms; for other
    commands None."""
    if list(arguments[:1]) != ["serve"] or set(HELP).intersection(arguments):
        return None
    try:
        return import_module(f"{SERVER}.cli.begin").begin()
    except Exception:  # whatever is wrong with the server, the command itself says it
        return None
