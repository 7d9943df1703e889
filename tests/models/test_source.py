"""Where models may come from: the directories a server is held to, this package, and the Hub."""

from pathlib import Path

import pytest
import pytest_asyncio

from corral_server.config import (
    DemoSource,
    HubConfig,
    HubSource,
    LoadOptions,
    LoraAdapter,
    ModelSpec,
    PathSource,
)
from corral_server.errors import HubNotFound, PathNotAllowed
from corral_server.hub.messages import PullProgress
from corral_server.models.hub import Hub
from corral_server.models.source import SourceLocator

pytestmark = pytest.mark.asyncio

REPO, COMMIT, FILE = "someone/tiny-GGUF", "c" * 40, "tiny-Q8_0.gguf"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory models may come from, with a model in it and one outside."""
    folder = tmp_path / "models"
    (folder / "nested").mkdir(parents=True)
    (folder / "m.gguf").touch()
    (tmp_path / "outside.gguf").touch()
    return folder


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> Hub:
    """A Hub that is asked nothing."""
    return Hub(HubConfig(cache_dir=str(tmp_path / "cache"), offline=True))


async def locate(hub: Hub, path: Path | str, *model_dirs: Path) -> Path:
    locator = SourceLocator(hub, tuple(map(str, model_dirs)))
    return await locator.locate(PathSource(str(path)))


async def test_a_path_may_lead_anywhere_where_no_directory_is_named(
    hub: Hub, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc")
    assert await locate(hub, link / "m.gguf") == link / "m.gguf"


@pytest.mark.parametrize("inside", ["m.gguf", "nested/m.gguf", "nested/../m.gguf", "none.gguf"])
async def test_a_path_in_a_model_directory_is_taken(hub: Hub, models: Path, inside: str) -> None:
    assert await locate(hub, models / inside, models) == (models / inside).resolve()


async def test_any_of_the_directories_will_do(hub: Hub, models: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert await locate(hub, models / "m.gguf", other, models) == models / "m.gguf"


@pytest.mark.parametrize(
    "outside",
    [
        "../outside.gguf",
        "nested/../../outside.gguf",
        "../models.gguf",
        "../models2/m.gguf",
        "/etc/passwd",
        "..",
    ],
)
async def test_a_path_that_leads_out_is_refused(hub: Hub, models: Path, outside: str) -> None:
    with pytest.raises(PathNotAllowed, match="model directories only"):
        await locate(hub, models / outside, models)


async def test_a_refusal_does_not_tell_whether_the_file_is_there(
    hub: Hub, models: Path, tmp_path: Path
) -> None:
    refusals = []
    for name in ("outside.gguf", "none.gguf"):
        with pytest.raises(PathNotAllowed) as caught:
            await locate(hub, tmp_path / name, models)
        refusals.append(str(caught.value).replace(name, "NAME"))
        assert str(tmp_path) not in str(caught.value)
    assert refusals[0] == refusals[1]


async def test_a_link_that_leads_out_is_refused(hub: Hub, models: Path, tmp_path: Path) -> None:
    (models / "file.gguf").symlink_to(tmp_path / "outside.gguf")
    (models / "folder").symlink_to(tmp_path)
    for path in ("file.gguf", "folder/outside.gguf"):
        with pytest.raises(PathNotAllowed):
            await locate(hub, models / path, models)


async def test_a_link_within_is_followed(hub: Hub, models: Path) -> None:
    (models / "link.gguf").symlink_to("m.gguf")
    assert await locate(hub, models / "link.gguf", models) == models / "m.gguf"


async def test_a_model_directory_may_be_a_link_itself(
    hub: Hub, models: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(models)
    assert await locate(hub, link / "m.gguf", link) == models / "m.gguf"


async def test_the_demo_model_is_in_the_package_wherever_paths_may_lead(
    hub: Hub, models: Path
) -> None:
    path = await SourceLocator(hub, (str(models),)).locate(DemoSource())
    assert path.name == "demo.gguf"


async def test_an_adapter_must_be_in_a_model_directory_too(
    hub: Hub, models: Path, tmp_path: Path
) -> None:
    (models / "link.gguf").symlink_to("m.gguf")
    spec = adapted(models / "link.gguf")
    locator = SourceLocator(hub, (str(models),))
    assert locator.admit(spec) == adapted(models / "m.gguf")
    with pytest.raises(PathNotAllowed):
        locator.admit(adapted(models / "m.gguf", tmp_path / "outside.gguf"))
    assert SourceLocator(hub).admit(spec) == spec


def adapted(*paths: Path) -> ModelSpec:
    adapters = tuple(LoraAdapter(str(path), 0.5) for path in paths)
    return ModelSpec(id="m", source=DemoSource(), options=LoadOptions(lora=adapters))


# The Hub.


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A model in the cache, as the Hub's own tools put it there."""
    repo = tmp_path / "cache" / "models--someone--tiny-GGUF"
    blob, snapshot = repo / "blobs" / "b", repo / "snapshots" / COMMIT
    for folder in (blob.parent, snapshot, repo / "refs"):
        folder.mkdir(parents=True)
    blob.write_bytes(b"model")
    (repo / "refs" / "main").write_text(COMMIT)
    (snapshot / FILE).symlink_to("../../blobs/b")
    return snapshot / FILE


async def test_a_model_of_the_hub_is_where_the_hub_says(
    hub: Hub, models: Path, cached: Path
) -> None:
    locator = SourceLocator(hub, (str(models),))
    progress: list[PullProgress] = []
    assert await locator.locate(HubSource(repo=REPO, file=FILE), progress.append) == cached
    assert progress == [PullProgress(FILE, 5, 5)]


async def test_nothing_is_downloaded_to_look_at_a_model(tmp_path: Path) -> None:
    online = Hub(HubConfig(endpoint="http://127.0.0.1:9", cache_dir=str(tmp_path / "cache")))
    with pytest.raises(HubNotFound, match="not in the cache"):
        await SourceLocator(online).locate_here(HubSource(repo=REPO, file=FILE, force=True))
    await online.close()


async def test_a_model_in_the_cache_can_be_looked_at(hub: Hub, cached: Path) -> None:
    assert await SourceLocator(hub).locate_here(HubSource(repo=REPO, file=FILE)) == cached
