"""The queue between an engine and the reader of one answer."""

import asyncio

import pytest

from corral_server.errors import EngineRestarting, ModelUnloaded, SlowConsumer
from corral_server.models.event_stream import MAX_PENDING, EventStream
from corral_server.request import Delta, Event, Finished, FinishReason, Started, Timings, Token

pytestmark = pytest.mark.asyncio

STARTED = Started(prompt_tokens=1)
FINISHED = Finished(
    reason=FinishReason.EOS,
    prompt_tokens=1,
    completion_tokens=2,
    timings=Timings(queue_s=0, prefill_s=0, decode_s=0),
)


def delta(number: int) -> Delta:
    token = Token(number, b"%d" % number)
    return Delta(text=f"{number} ", completion_tokens=number, tokens=(token,))


def stream_of(*events: Event) -> EventStream:
    stream = EventStream()
    for event in events:
        stream.push(event)
    return stream


async def test_events_come_out_in_order() -> None:
    stream = stream_of(STARTED, delta(1), FINISHED)
    assert [await stream.next() for _ in range(3)] == [STARTED, delta(1), FINISHED]


async def test_deltas_that_are_ready_together_come_out_as_one() -> None:
    stream = stream_of(STARTED, delta(1), delta(2), delta(3), FINISHED)
    await stream.next()
    merged = Delta(
        text="1 2 3 ",
        completion_tokens=3,
        tokens=(Token(1, b"1"), Token(2, b"2"), Token(3, b"3")),
    )
    assert await stream.next() == merged
    assert await stream.next() == FINISHED


async def test_a_reader_waits_for_the_next_event() -> None:
    stream = EventStream()
    reader = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    assert not reader.done()
    stream.push(STARTED)
    assert await reader == STARTED


async def test_a_waiting_reader_is_told_of_the_end() -> None:
    stream = EventStream()
    reader = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.fail(ModelUnloaded("gone"))
    with pytest.raises(ModelUnloaded):
        await reader


async def test_the_error_comes_after_what_arrived_before_it() -> None:
    stream = stream_of(STARTED, delta(1))
    stream.fail(ModelUnloaded("gone"))
    assert [await stream.next(), await stream.next()] == [STARTED, delta(1)]
    with pytest.raises(ModelUnloaded):
        await stream.next()


async def test_the_first_error_stays() -> None:
    stream = EventStream()
    stream.fail(SlowConsumer("slow"))
    stream.fail(EngineRestarting("died"))
    with pytest.raises(SlowConsumer):
        await stream.next()


async def test_nothing_arrives_after_the_error() -> None:
    """Else a reader that was cut off would see a gap, and then perhaps a Finished."""
    stream = stream_of(delta(1))
    stream.fail(SlowConsumer("slow"))
    stream.push(delta(3))
    stream.push(FINISHED)
    assert await stream.next() == delta(1)
    with pytest.raises(SlowConsumer):
        await stream.next()


async def test_it_is_full_at_its_bound_until_it_is_read() -> None:
    stream = stream_of(*map(delta, range(1, MAX_PENDING)))
    assert not stream.is_full
    stream.push(delta(MAX_PENDING))
    assert stream.is_full
    await stream.next()
    assert not stream.is_full
