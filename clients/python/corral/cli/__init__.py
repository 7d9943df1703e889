"""The `corral` command. It calls a server through corral.Client; nothing else of this package
imports it, nor what it needs beyond the client."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

NEEDS = ("prompt_toolkit", "rich", "typer")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `corral ARGUMENTS`, by default those of this process, and exits: 0 if all went well,
    1 after an error of the server, 2 after a mistake in the arguments."""
    if not all(map(find_spec, NEEDS)):
        sys.exit("the corral command needs more packages: pip install 'corral-client[cli]'")

    from corral.cli.app import run

    run(arguments)
