"""Commands of the Hugging Face Hub, as the server sees it: hub search, hub files."""

from typing import Annotated

import typer

from corral.cli.options import Address, Json, count
from corral.cli.output import harmless, print_json, size, stderr, stdout, table
from corral.sync import Client
from corral.v1.model_manager_pb2 import HubRepo, ListHubFilesResponse, SearchHubResponse

hub = typer.Typer(no_args_is_help=True, help="Look for models on the Hugging Face Hub.")


@hub.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="QUERY...", help="Words to look for.")],
    limit: Annotated[int | None, count("Repositories at most. Default: 10.")] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Search repositories with GGUF files, most downloaded first."""
    with Client(address) as client:
        found = client.models.search_hub(" ".join(words), limit=limit)
    if as_json:
        print_json(SearchHubResponse(repos=found))
        return
    if not found:
        stderr().print("nothing found", style="dim")
        return
    rows = table(
        "repo",
        "downloads",
        "likes",
        "updated",
        "",
        numbers=("downloads", "likes"),
        wrapped=["repo"],
    )
    for repo in found:
        rows.add_row(
            harmless(repo.repo),
            f"{repo.downloads:,.0f}",
            f"{repo.likes:,}",
            f"{repo.updated_at.ToDatetime():%Y-%m-%d}" if repo.HasField("updated_at") else "",
            _access(repo),
        )
    stdout().print(rows)


def _access(repo: HubRepo) -> str:
    return ", ".join(
        word for word, is_so in (("gated", repo.gated), ("private", repo.private)) if is_so
    )


@hub.command()
def files(
    repo: Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME.", show_default=False)],
    revision: Annotated[
        str | None, typer.Option(metavar="NAME", help="Branch, tag or commit. Default: main.")
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List the models in a repository, each with the SOURCE that loads it."""
    with Client(address) as client:
        found = client.models.hub_files(repo, revision=revision)
    if as_json:
        print_json(ListHubFilesResponse(files=found))
        return
    if not found:
        stderr().print("no GGUF files there", style="dim")
        return
    at = f"@{revision}" if revision else ""
    rows = table(
        "quantization", "size", "files", "source", numbers=("size", "files"), wrapped=["source"]
    )
    for file in found:
        source = f"hf:{repo}/{file.file}{at}"
        rows.add_row(
            harmless(file.quantization), size(file.size_bytes), str(file.shards), harmless(source)
        )
    stdout().print(rows)
