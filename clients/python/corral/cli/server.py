"""Commands of the server itself: info."""

from rich.table import Table

from corral.cli.options import Address, Json
from corral.cli.output import print_json, size, stdout
from corral.sync import Client


def info(address: Address = None, as_json: Json = False) -> None:
    """Describe the server: versions, features, limits."""
    with Client(address) as client:
        found = client.server.info()
    if as_json:
        print_json(found)
        return
    rows = Table.grid(padding=(0, 2))
    rows.add_row("address", client.address)
    rows.add_row("version", found.version)
    rows.add_row("contracts", ", ".join(found.api_versions))
    rows.add_row("features", ", ".join(found.features))
    rows.add_row("llama-cpp-python", found.llama_cpp_python_version)
    rows.add_row("started", f"{found.started_at.ToDatetime():%Y-%m-%d %H:%M:%S} UTC")
    rows.add_row("instance", found.instance_id)
    rows.add_row("largest request", size(found.max_request_bytes))
    stdout().print(rows)
