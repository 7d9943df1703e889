"""`python -m clients.conformance.serve`: the servers, for whoever writes a program for them."""

import shlex
import sys
import tempfile
from pathlib import Path

from clients.conformance.servers import conformance_servers, overhead_server


def main() -> None:
    """Prints the environment as a shell takes it, then serves until standard input ends."""
    with (
        tempfile.TemporaryDirectory() as directory,
        conformance_servers(Path(directory)) as conformance,
        overhead_server() as overhead,
    ):
        for name, value in {**conformance, **overhead}.items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
