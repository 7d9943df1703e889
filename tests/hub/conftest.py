"""A fake Hub, and Hubs of ours that are quick to give up on it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import fake_hub
from corral_server.config import HubConfig
from corral_server.hub.__main__ import perform
from corral_server.hub.messages import Job, PullProgress
from corral_server.models.hub import Hub
from corral_server.models.hub_process import HUB_COMMAND
from fake_hub import FakeHub
from hub.case import (
    ATTEMPTS,
    CONTENT,
    FILE,
    PULL,
    REPO,
    RETRIES,
    SHARDS,
    Do,
    Done,
    MakeHub,
    Task,
    hub_processes,
)


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    """A Hub with one repository: a model in one file, a split one, and a README."""
    with fake_hub.running() as hub:
        hub.add(REPO, {FILE: CONTENT, "README.md": b"# tiny", **SHARDS})
        yield hub


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the Hub that the user of this machine has set up."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest_asyncio.fixture
async def make_hub(
    fake: FakeHub, tmp_path: Path, clean_environment: None
) -> AsyncIterator[MakeHub]:
    """Hubs that share one cache; keywords are fields of HubConfig. None of their processes outlives
    the test."""
    hubs: list[Hub] = []

    def make(command: tuple[str, ...] = HUB_COMMAND, **config: Any) -> Hub:
        common = HubConfig(endpoint=fake.url, cache_dir=str(tmp_path / "cache"), stall_s=20.0)
        hubs.append(Hub(replace(common, **config), command, RETRIES))
        return hubs[-1]

    yield make
    fake.release()
    for hub in hubs:
        await hub.close()
    assert hub_processes() == []


@pytest.fixture
def do(fake: FakeHub, tmp_path: Path, clean_environment: None) -> Do:
    """What a Hub process does, in this one: its answer, or the error it ends with."""

    common = Job(
        task=PULL,
        endpoint=fake.url,
        cache_dir=str(tmp_path / "cache"),
        token_file=None,
        timeout_s=5.0,
        retries=RETRIES,
    )

    def do(task: Task = PULL, *, attempts: int = ATTEMPTS, **job: Any) -> Done:
        retries = msgspec.structs.replace(RETRIES, attempts=attempts)
        whole = msgspec.structs.replace(common, task=task, retries=retries, **job)
        steps: list[PullProgress] = []
        return Done(perform(whole, steps.append), steps)

    return do


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The directory of REPO in the cache."""
    return tmp_path / "cache" / "models--someone--tiny-GGUF"
