"""Connections that break or lie: what is taken up again, and what is thrown away."""

import json
from pathlib import Path

import huggingface_hub
import pytest

from corral_server.config import HubSource
from corral_server.errors import DiskFull, HubDataCorrupt, HubUnavailable
from corral_server.hub.messages import PulledModel, PullModel
from fake_hub import FakeHub, Fault, sha256
from hub.case import ATTEMPTS, CONTENT, FILE, REPO, SHARDS, SPLIT, Do, content_of

SIZE = len(CONTENT)
CUTS = [SIZE * percent // 100 for percent in (0, 1, 50, 99)]


def asked(start: int) -> str:
    """The Range of a request that goes on at `start`."""
    return f"bytes={start}-" if start else ""


def test_every_shard_of_a_split_model_comes(fake: FakeHub, do: Do) -> None:
    done = do(PullModel(SPLIT))
    assert isinstance(done.answer, PulledModel)
    directory = Path(done.answer.path).parent.parent
    assert {name: (directory / name).read_bytes() for name in SHARDS} == SHARDS
    assert done.answer.path.endswith("big-Q4_K_M-00001-of-00003.gguf")
    told = [step.done_bytes for step in done.steps]
    assert told == sorted(told) and told[-1] == done.answer.size_bytes == 270_000
    assert len(fake.content_requests) == 3


def test_the_cache_is_that_of_other_tools(do: Do, cache: Path) -> None:
    model = do().answer
    assert isinstance(model, PulledModel)
    found = huggingface_hub.try_to_load_from_cache(REPO, FILE, cache_dir=cache.parent)
    assert found == model.path
    assert Path(model.path).is_symlink()


def test_a_branch_that_moved_brings_only_what_changed(fake: FakeHub, do: Do) -> None:
    do(PullModel(SPLIT))
    changed = SHARDS | {"big/big-Q4_K_M-00002-of-00003.gguf": content_of("new", 90_000)}
    commit = fake.add(REPO, changed)
    fake.behave()
    model = do(PullModel(SPLIT)).answer
    assert isinstance(model, PulledModel) and model.commit == commit
    assert len(fake.content_requests) == 1


def test_a_name_with_odd_letters_is_asked_for_as_it_is(fake: FakeHub, do: Do) -> None:
    name = "sub dir/ü%2e%2e#?&-Q8_0.gguf"
    fake.add("a/odd", {name: CONTENT})
    done = do(PullModel(HubSource(repo="a/odd", file=name)))
    assert done.content == CONTENT
    assert isinstance(done.answer, PulledModel) and done.answer.path.endswith(f"/{name}")


def test_a_commit_that_is_none_is_refused(fake: FakeHub, do: Do, cache: Path) -> None:
    fake.misbehave("/revision/", Fault(status=200, body=b'{"id": "a/b", "sha": "../../../x"}'))
    with pytest.raises(HubUnavailable, match="names no commit"):
        do()
    assert not cache.exists()


@pytest.mark.parametrize("cut", CUTS)
def test_the_next_pull_goes_on_where_the_last_was_cut(cut: int, fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(cut_at=cut))
    with pytest.raises(HubUnavailable, match=f"broke off at {cut} of {SIZE} bytes") as caught:
        do(attempts=1)
    assert caught.value.retry_after_s
    assert do().content == CONTENT
    assert fake.ranges == ["", asked(cut)]


def test_one_pull_takes_up_several_cuts_by_itself(fake: FakeHub, do: Do) -> None:
    for cut in (100_000, 0, 50_000):
        fake.misbehave("/blobs/", Fault(cut_at=cut))
    done = do(attempts=4)
    assert done.content == CONTENT
    assert fake.ranges == ["", asked(100_000), asked(100_000), asked(150_000)]
    bytes_told = [step.done_bytes for step in done.steps]
    assert bytes_told == sorted(bytes_told)
    assert (bytes_told[0], bytes_told[-1]) == (0, SIZE)


def test_a_hub_that_always_cuts_is_given_up(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(cut_at=0), times=1000)
    with pytest.raises(HubUnavailable, match="broke off at 0"):
        do()
    assert len(fake.content_requests) == ATTEMPTS


def test_a_silent_connection_is_replaced_by_another(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(hold_at=100_000))
    assert do(timeout_s=1.0).content == CONTENT
    assert fake.ranges == ["", asked(100_000)]


def test_a_hub_that_ignores_ranges_is_gone_on_with(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(cut_at=200_000))
    fake.misbehave("/blobs/", Fault(ignores_range=True))
    done = do()
    assert done.content == CONTENT
    bytes_told = [step.done_bytes for step in done.steps]
    assert bytes_told == sorted(bytes_told)


def test_a_cut_in_one_shard_costs_only_that_one(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault())  # the first shard comes
    fake.misbehave("/blobs/", Fault(cut_at=30_000))
    with pytest.raises(HubUnavailable, match=r"00002-of-00003.gguf broke off at 30000"):
        do(PullModel(SPLIT), attempts=1)
    assert do(PullModel(SPLIT)).steps[0].done_bytes == 90_000
    assert fake.ranges == ["", "", asked(30_000), ""]


def test_content_with_another_hash_is_removed(fake: FakeHub, do: Do, cache: Path) -> None:
    fake.misbehave("/blobs/", Fault(flip=True))
    with pytest.raises(HubDataCorrupt, match="another hash"):
        do()
    assert list((cache / "blobs").iterdir()) == []
    assert not (cache / "snapshots").exists()
    assert do().content == CONTENT


def test_content_that_git_holds_is_checked_too(fake: FakeHub, do: Do) -> None:
    fake.uses_cdn = False
    fake.add("a/small", {"small.gguf": b"GGUF"})
    task = PullModel(HubSource(repo="a/small", file="small.gguf"))
    fake.misbehave("/resolve/", Fault(flip=True))
    with pytest.raises(HubDataCorrupt, match="another hash"):
        do(task)
    assert do(task).content == b"GGUF"


def test_a_part_that_went_bad_on_disk_is_removed(fake: FakeHub, do: Do, cache: Path) -> None:
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / f"{sha256(CONTENT)}.incomplete").write_bytes(b"\0" * 1000)
    with pytest.raises(HubDataCorrupt, match="another hash"):
        do()
    assert do().content == CONTENT
    assert fake.ranges == [asked(1000), ""]


def test_a_part_that_is_too_long_is_begun_anew(fake: FakeHub, do: Do, cache: Path) -> None:
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / f"{sha256(CONTENT)}.incomplete").write_bytes(b"\0" * (SIZE + 1))
    assert do().content == CONTENT
    assert fake.ranges == [""]


def test_a_part_that_is_whole_needs_no_request(fake: FakeHub, do: Do, cache: Path) -> None:
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / f"{sha256(CONTENT)}.incomplete").write_bytes(CONTENT)
    assert do().content == CONTENT
    assert fake.ranges == []


@pytest.mark.parametrize(
    "lie",
    [
        Fault(announce=-1000),
        Fault(announce=1000),
        Fault(status=200, body=b"<html>Please log in</html>"),
        Fault(status=206, body=b"?", headers=(("Content-Range", f"bytes 7-{SIZE - 1}/{SIZE}"),)),
        Fault(status=200, body=CONTENT, headers=(("Content-Encoding", "gzip"),)),
        Fault(chunked=True, more=b"more"),
    ],
    ids=["shorter", "longer", "a page", "another part", "packed", "too much"],
)
def test_what_cannot_be_the_file_is_refused(lie: Fault, fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", lie)
    with pytest.raises(HubDataCorrupt):
        do()
    assert do().content == CONTENT


def test_content_without_a_length_is_taken(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(chunked=True, cut_at=1000))
    fake.misbehave("/blobs/", Fault(chunked=True))
    assert do().content == CONTENT
    assert fake.ranges == ["", asked(1000)]


def test_an_empty_file_is_refused(fake: FakeHub, do: Do) -> None:
    fake.add("a/empty", {"x.gguf": b""})
    with pytest.raises(HubDataCorrupt, match="x.gguf is empty"):
        do(PullModel(HubSource(repo="a/empty", file="x.gguf")))


@pytest.mark.parametrize(("etag", "size"), [("../../x", 1), ("", 1)])
def test_a_file_without_a_hash_is_refused(etag: str, size: int, fake: FakeHub, do: Do) -> None:
    fake.misbehave("/tree/", Fault(status=200, body=listing("x.gguf", size, etag)))
    with pytest.raises(HubDataCorrupt, match="no hash"):
        do(PullModel(HubSource(repo=REPO, file="x.gguf")))


def test_a_model_that_does_not_fit_the_disk_is_not_begun(fake: FakeHub, do: Do) -> None:
    petabyte = 10**15
    fake.misbehave("/tree/", Fault(status=200, body=listing("x.gguf", petabyte, "0" * 64)))
    with pytest.raises(DiskFull) as caught:
        do(PullModel(HubSource(repo=REPO, file="x.gguf")))
    assert caught.value.metadata["required"] == str(petabyte)
    assert 0 < int(caught.value.metadata["available"]) < petabyte
    assert fake.content_requests == []


def listing(path: str, size: int, etag: str) -> bytes:
    """What the Hub tells of a repository with this one file."""
    lfs = {"oid": etag, "size": size, "pointerSize": 134}
    entry = {"type": "file", "path": path, "size": size, "oid": "0" * 40, "lfs": lfs}
    return json.dumps([entry]).encode()
