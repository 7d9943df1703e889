"""Commands of the server itself: info, stats."""

from typing import Annotated

import typer
from rich.table import Table

from corral.cli.options import Address, Json
from corral.cli.output import print_json, size, stderr, stdout, table
from corral.sync import Client
from corral.v1.server_pb2 import GetLoadResponse, ModelLoad

NUMBERS = ("slots", "run", "wait", "cells", "used", "cached", "tok/s", "prompt/s", "hits", "delay")


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


def stats(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Default: all that are ready.")
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show how busy models are: slots, requests, cells of the KV cache, tokens per second, the
    part of prompts that was found computed, and the wait of one more request."""
    with Client(address) as client:
        found = client.server.get_load(model)
    if as_json:
        print_json(GetLoadResponse(models=found))
        return
    if not found:
        stderr().print("no model is ready", style="dim")
        return
    rows = table("id", *NUMBERS, numbers=NUMBERS)
    for load in found:
        rows.add_row(load.model, *_numbers(load))
    stdout().print(rows)


def _numbers(load: ModelLoad) -> tuple[str, ...]:
    wait = load.estimated_wait.ToTimedelta().total_seconds()
    return (
        str(load.slots),
        str(load.running),
        f"{load.waiting}/{load.max_waiting}",
        str(load.cells),
        str(load.cells_used),
        str(load.cells_cached),
        f"{load.completion_tokens_per_second:.1f}",
        f"{load.prompt_tokens_per_second:.1f}",
        f"{load.prompt_cached_ratio:.0%}",
        f"{wait:.1f}s" if load.HasField("estimated_wait") else "",
    )
