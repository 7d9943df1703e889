"""The Hub, asked against a fake one: what there is, what comes, what is kept."""

import asyncio
from pathlib import Path

import pytest

from corral_server.config import HubSource
from corral_server.errors import (
    HubNotFound,
    HubUnavailable,
    InvalidFields,
    QueueFull,
    ServerDraining,
)
from corral_server.models import hub as hub_module
from corral_server.models.hub import HubFile
from fake_hub import FakeHub, Fault
from hub.case import (
    ATTEMPTS,
    CONTENT,
    FILE,
    REPO,
    SHARDS,
    SOURCE,
    SPLIT,
    MakeHub,
    content,
    damage,
    pulled,
    until,
    watched,
)

pytestmark = pytest.mark.asyncio


async def test_search_finds_repositories_most_downloaded_first(
    fake: FakeHub, make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{fake.url}/")
    for name, downloads in (("a/llama-1", 5), ("a/llama-2", 50), ("a/llama-3", 500)):
        fake.add(name, {})
        fake.repos[name].downloads = downloads
    fake.repos["a/llama-3"].gated = True
    found = await make_hub(endpoint=None).search("llama", 2)
    assert [repo.repo for repo in found] == ["a/llama-3", "a/llama-2"]
    assert [repo.gated for repo in found] == [True, False]
    assert (found[0].downloads, found[0].likes, found[0].tags) == (500, 3, ("gguf",))
    assert found[0].updated_at is not None and found[0].updated_at.year == 2026
    assert "filter=gguf" in fake.requests[0].path


async def test_models_are_listed_by_size_and_a_split_one_once(make_hub: MakeHub) -> None:
    assert await make_hub().list_files(REPO) == [
        HubFile(file=next(iter(SHARDS)), size_bytes=270_000, quantization="Q4_K_M", shards=3),
        HubFile(file=FILE, size_bytes=len(CONTENT), quantization="Q8_0", shards=1),
    ]


async def test_a_model_comes_whole_and_tells_its_bytes(
    fake: FakeHub, make_hub: MakeHub, cache: Path
) -> None:
    hub = make_hub()
    steps = await watched(hub)
    model = await pulled(hub)
    assert content(model) == CONTENT
    assert model.commit == fake.repos[REPO].refs["main"]
    assert model.size_bytes == len(CONTENT)
    assert Path(model.path) == cache / "snapshots" / model.commit / FILE
    done = [step.done_bytes for step in steps]
    assert done == sorted(done) and done[-1] == len(CONTENT)
    assert {(step.file, step.total_bytes) for step in steps} == {(FILE, len(CONTENT))}


async def test_a_pinned_commit_in_the_cache_asks_nobody(fake: FakeHub, make_hub: MakeHub) -> None:
    hub = make_hub()
    commit = (await pulled(hub)).commit
    fake.behave()
    for source in (
        HubSource(repo=REPO, file=FILE, revision=commit),
        HubSource(repo=REPO, quantization="Q8_0", revision=commit),
    ):
        assert (await pulled(hub, source)).commit == commit
    assert fake.requests == []


async def test_a_branch_in_the_cache_is_asked_for_but_not_downloaded(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    hub = make_hub()
    first = await pulled(hub)
    fake.behave()
    steps = await watched(hub)
    assert await pulled(hub) == first
    assert fake.content_requests == []
    assert [(step.file, step.done_bytes) for step in steps] == [(FILE, len(CONTENT))]


async def test_force_downloads_again(fake: FakeHub, make_hub: MakeHub) -> None:
    hub = make_hub()
    damage(await pulled(hub))
    assert content(await pulled(hub)) != CONTENT
    assert content(await pulled(hub, HubSource(repo=REPO, file=FILE, force=True))) == CONTENT
    assert fake.ranges == ["", ""]


async def test_offline_takes_the_cache_or_says_that_it_is_not_there(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    offline = HubSource(repo=REPO, file=FILE, offline=True)
    hub, cut_off = make_hub(), make_hub(offline=True)
    with pytest.raises(HubNotFound, match="not in the cache.*offline"):
        await pulled(hub, offline)
    with pytest.raises(HubUnavailable, match="offline"):
        await cut_off.search("x", 1)
    assert fake.requests == []
    model = await pulled(hub)
    fake.behave()
    assert await pulled(hub, offline) == model
    assert await pulled(cut_off) == model
    assert fake.requests == []


async def test_a_hub_that_is_down_does_not_hide_the_cache(fake: FakeHub, make_hub: MakeHub) -> None:
    hub = make_hub()
    model = await pulled(hub)
    fake.misbehave("/api/", Fault(status=503), times=ATTEMPTS)
    assert await pulled(hub) == model


async def test_cached_looks_and_asks_nobody(fake: FakeHub, make_hub: MakeHub, cache: Path) -> None:
    hub = make_hub()
    assert hub.cached(SPLIT) is None
    model = await pulled(hub, SPLIT)
    assert hub.cached(SPLIT) == model
    Path(model.path).with_name("big-Q4_K_M-00003-of-00003.gguf").unlink()
    assert hub.cached(SPLIT) is None
    (cache / "refs" / "main").write_text("../../etc")
    assert hub.cached(SPLIT) is None


async def test_callers_of_one_model_share_one_download(fake: FakeHub, make_hub: MakeHub) -> None:
    hub = make_hub()
    models = await asyncio.gather(*(pulled(hub) for _ in range(5)))
    assert len(set(models)) == 1
    assert len(fake.content_requests) == 1


async def test_two_servers_with_one_cache_share_one_download(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    models = await asyncio.gather(pulled(make_hub()), pulled(make_hub()))
    assert models[0] == models[1]
    assert len(fake.content_requests) == 1


async def test_a_caller_that_leaves_does_not_end_the_download(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    hub = make_hub()
    fake.misbehave("/blobs/", Fault(hold_at=150_000))
    leaving = asyncio.create_task(pulled(hub))
    await until(hub.pull(SOURCE), 1)
    leaving.cancel()
    fake.release()
    await pulled(hub)
    assert len(fake.content_requests) == 1


async def test_a_closed_hub_keeps_what_has_come(
    fake: FakeHub, make_hub: MakeHub, cache: Path
) -> None:
    hub = make_hub()
    fake.misbehave("/blobs/", Fault(hold_at=150_000))
    pull = hub.pull(SOURCE)
    await until(pull, 150_000)
    await hub.close()
    with pytest.raises(ServerDraining):
        await pull.result()
    with pytest.raises(ServerDraining):
        hub.pull(SOURCE)
    await pulled(make_hub())
    assert fake.ranges == ["", "bytes=150000-"]


async def test_a_download_that_has_not_begun_is_ended_too(make_hub: MakeHub) -> None:
    hub = make_hub()
    pull = hub.pull(SOURCE)
    await hub.close()
    with pytest.raises(ServerDraining):
        async with asyncio.timeout(20):
            await pull.result()


async def test_names_that_make_no_sense_are_refused_at_once(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    hub = make_hub()
    for call in (hub.pull, hub.cached):
        with pytest.raises(InvalidFields):
            call(HubSource(repo=REPO, file="../../etc/passwd.gguf"))
    with pytest.raises(InvalidFields):
        await hub.list_files("../etc")
    assert fake.requests == []


async def test_one_download_too_many_is_refused(
    fake: FakeHub, make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_MAX_PULLS", 1)
    hub = make_hub()
    hub.pull(SOURCE)
    with pytest.raises(QueueFull) as caught:
        hub.pull(HubSource(repo=REPO, file="other.gguf"))
    assert caught.value.retry_after_s
    hub.pull(HubSource(repo=REPO, file=FILE))
