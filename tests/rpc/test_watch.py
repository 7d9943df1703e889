"""The journal behind WatchModels: snapshots, numbers, resuming, and readers that fall behind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from corral.v1 import model_manager_pb2 as pb
from corral_server.errors import ServerDraining
from corral_server.rpc.watch import KEPT, ModelWatch

pytestmark = pytest.mark.asyncio


def make_watch() -> ModelWatch:
    return ModelWatch("this start", pb.ModelsSnapshot)


def record(watch: ModelWatch, count: int) -> None:
    for _ in range(count):
        watch.record(pb.WatchModelsResponse(removed=pb.ModelRemoved(id="gone")))


async def take(
    changes: AsyncIterator[pb.WatchModelsResponse], count: int
) -> list[tuple[int, str | None]]:
    async with asyncio.timeout(5):
        taken = [await anext(changes) for _ in range(count)]
    return [(change.sequence, change.WhichOneof("event")) for change in taken]


async def test_a_watch_begins_with_a_snapshot_that_has_the_last_number() -> None:
    watch = make_watch()
    record(watch, 3)
    assert await take(watch.watch(pb.WatchModelsRequest()), 1) == [(3, "snapshot")]


async def test_every_change_follows_with_a_number_of_its_own() -> None:
    watch = make_watch()
    changes = watch.watch(pb.WatchModelsRequest())
    await take(changes, 1)
    record(watch, 3)
    assert await take(changes, 3) == [(1, "removed"), (2, "removed"), (3, "removed")]


async def test_a_watch_resumes_after_the_number_it_names() -> None:
    watch = make_watch()
    record(watch, 5)
    request = pb.WatchModelsRequest(after_sequence=3, instance_id="this start")
    assert await take(watch.watch(request), 2) == [(4, "removed"), (5, "removed")]


async def test_a_watch_that_resumes_at_the_end_waits_for_the_next_change() -> None:
    watch = make_watch()
    record(watch, 2)
    changes = watch.watch(pb.WatchModelsRequest(after_sequence=2, instance_id="this start"))
    waiting = asyncio.ensure_future(take(changes, 1))
    await asyncio.sleep(0)
    record(watch, 1)
    assert await waiting == [(3, "removed")]


@pytest.mark.parametrize(
    "request_",
    [
        pb.WatchModelsRequest(after_sequence=2, instance_id="an earlier start"),
        pb.WatchModelsRequest(after_sequence=2),
        pb.WatchModelsRequest(after_sequence=99, instance_id="this start"),
    ],
    ids=["another start", "no start named", "a number to come"],
)
async def test_a_number_that_means_nothing_here_gets_a_snapshot(
    request_: pb.WatchModelsRequest,
) -> None:
    watch = make_watch()
    record(watch, 5)
    assert await take(watch.watch(request_), 1) == [(5, "snapshot")]


async def test_a_number_that_is_no_longer_kept_gets_a_snapshot() -> None:
    watch = make_watch()
    record(watch, KEPT + 5)
    kept = pb.WatchModelsRequest(after_sequence=5, instance_id="this start")
    assert await take(watch.watch(kept), 1) == [(6, "removed")]
    lost = pb.WatchModelsRequest(after_sequence=4, instance_id="this start")
    assert await take(watch.watch(lost), 1) == [(KEPT + 5, "snapshot")]


async def test_a_reader_that_falls_behind_gets_a_snapshot_and_goes_on() -> None:
    watch = make_watch()
    changes = watch.watch(pb.WatchModelsRequest())
    await take(changes, 1)
    record(watch, KEPT + 1)
    assert await take(changes, 1) == [(KEPT + 1, "snapshot")]
    record(watch, 1)
    assert await take(changes, 1) == [(KEPT + 2, "removed")]


async def test_closing_ends_a_watch_after_what_has_happened() -> None:
    watch = make_watch()
    changes = watch.watch(pb.WatchModelsRequest())
    await take(changes, 1)
    record(watch, 2)
    watch.close()
    assert await take(changes, 2) == [(1, "removed"), (2, "removed")]
    with pytest.raises(ServerDraining):
        await anext(changes)
