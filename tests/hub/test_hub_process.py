"""The processes of the Hub: silence, death, a full disk, and what others can see of them."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from corral_server.errors import DiskFull, HubUnavailable
from corral_server.hub.messages import Job, PullModel
from corral_server.models.hub_process import HUB_COMMAND
from fake_hub import FakeHub, Fault
from hub.case import (
    CONTENT,
    REPO,
    RETRIES,
    SOURCE,
    TOKEN,
    MakeHub,
    content,
    hub_processes,
    pulled,
    until,
)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/", "/blobs/"])
async def test_a_hub_that_falls_silent_is_given_up(
    path: str, fake: FakeHub, make_hub: MakeHub
) -> None:
    fake.misbehave(path, Fault(hold_at=1), times=1000)
    began = time.monotonic()
    with pytest.raises(HubUnavailable) as caught:
        await pulled(make_hub(stall_s=1.5))
    assert caught.value.retry_after_s
    assert time.monotonic() - began < 5.0


@pytest.mark.asyncio
async def test_a_process_that_is_killed_is_told_and_the_next_goes_on(
    fake: FakeHub, make_hub: MakeHub
) -> None:
    hub = make_hub()
    fake.misbehave("/blobs/", Fault(hold_at=120_000))
    pull = hub.pull(SOURCE)
    await until(pull, 120_000)
    (process,) = hub_processes()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(HubUnavailable, match="SIGKILL"):
        async with asyncio.timeout(20):
            await pull.result()
    assert content(await pulled(hub)) == CONTENT
    assert fake.ranges == ["", "bytes=120000-"]


@pytest.mark.asyncio
async def test_a_process_that_cannot_start_is_told(make_hub: MakeHub) -> None:
    with pytest.raises(HubUnavailable, match="exit code 7"):
        await pulled(make_hub((sys.executable, "-c", "raise SystemExit(7)")))


def test_the_server_does_not_import_what_only_a_process_needs() -> None:
    heavy = "{'huggingface_hub', 'httpx2', 'tqdm'}"
    code = f"import sys, corral_server.models.hub; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20.0)


def test_a_process_ends_when_its_server_is_gone(fake: FakeHub, tmp_path: Path) -> None:
    fake.misbehave("/api/", Fault(hold_at=0))
    job = Job(
        task=PullModel(SOURCE),
        endpoint=fake.url,
        cache_dir=str(tmp_path),
        token_file=None,
        timeout_s=20.0,
        retries=RETRIES,
    )
    with subprocess.Popen(HUB_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.close()
        assert process.wait(20.0) == 1


@pytest.mark.asyncio
async def test_a_disk_that_fills_up_ends_only_this_pull(fake: FakeHub, make_hub: MakeHub) -> None:
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1)); "
    run = "runpy.run_module('corral_server.hub', run_name='__main__')"
    missing = len(CONTENT) - 100_000
    with pytest.raises(DiskFull, match=f"needs {missing} more bytes") as caught:
        await pulled(make_hub((sys.executable, "-c", limit + run)))
    assert caught.value.metadata["required"] == str(missing)
    assert content(await pulled(make_hub())) == CONTENT
    assert fake.ranges == ["", "bytes=100000-"]


@pytest.mark.asyncio
@pytest.mark.parametrize("by_file", [True, False], ids=["token_file", "HF_TOKEN"])
async def test_the_token_is_shown_to_the_hub_and_to_nobody_else(
    by_file: bool,
    fake: FakeHub,
    make_hub: MakeHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.repos[REPO].token = TOKEN
    hub = make_hub(token_file=_token_file(tmp_path) if by_file else None)
    if not by_file:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    fake.misbehave("/blobs/", Fault(hold_at=100_000))
    pull = hub.pull(SOURCE)
    await until(pull, 100_000)
    (process,) = hub_processes()
    assert TOKEN not in " ".join(process.cmdline())
    fake.release()
    assert content(await pulled(hub)) == CONTENT
    assert {request.port for request in fake.requests} == {fake.port, fake.cdn_port}
    assert {request.port for request in fake.requests if TOKEN in repr(request)} == {fake.port}
    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


def _token_file(directory: Path) -> str:
    path = directory / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)
