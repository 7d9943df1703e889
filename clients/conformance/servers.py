"""Everything the programs call: Corral with the demo model, plain and with TLS, and three servers
that answer by script."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.running_server import running_server
from clients.conformance.authority import make_authority
from clients.conformance.flood import flood_server
from clients.conformance.scripted import flaky_server, future_server

GOLDEN = Path(__file__).parents[2] / "proto/golden"

_MODELS = """
[models.demo]
source = "demo"
default = true
mode = "server"
capabilities = ["generate", "chat", "embed"]

[models.text]
source = "demo"
"""


@contextmanager
def conformance_servers(directory: Path) -> Iterator[Mapping[str, str]]:
    """What a conformance program finds in its environment; files are written to `directory`."""
    models = directory / "corral.toml"
    models.write_text(_MODELS)
    authority = make_authority(directory)
    token = secrets.token_urlsafe(24)
    tokens = directory / "tokens"
    tokens.write_text(f"# of this run\n{secrets.token_urlsafe(24)}\n{token}\n")
    quiet = ("--log-level", "warning")
    secure = ("--tls-cert", authority.cert, "--tls-key", authority.key, "--token-file", tokens)
    with ExitStack() as stack:
        plain = stack.enter_context(running_server("--config", str(models), *quiet))
        closed = stack.enter_context(running_server(*map(str, secure), *quiet))
        yield {
            "CORRAL_ADDRESS": plain.address,
            "CORRAL_TLS_ADDRESS": closed.address,
            "CORRAL_TLS_CA": str(authority.ca),
            "CORRAL_TLS_TOKEN": token,
            "CORRAL_FUTURE_ADDRESS": stack.enter_context(future_server()),
            "CORRAL_FLAKY_ADDRESS": stack.enter_context(flaky_server()),
            "CORRAL_GOLDEN": str(GOLDEN),
        }


@contextmanager
def example_server() -> Iterator[Mapping[str, str]]:
    """What an example finds: a server with the demo model alone."""
    with running_server("--log-level", "warning") as server:
        yield {"CORRAL_ADDRESS": server.address}


@contextmanager
def overhead_server() -> Iterator[Mapping[str, str]]:
    """What a program finds that measures its wrapper."""
    with flood_server() as address:
        yield {"CORRAL_FLOOD_ADDRESS": address}
