"""What an engine reports reaches the reader of the call, and nobody else."""

import pytest

from corral_server.errors import (
    ContextLengthExceeded,
    EngineRestarting,
    InternalError,
    SlowConsumer,
)
from corral_server.ipc.messages import Counted, Embedded, Failure, Output, Proceed, Rejected
from corral_server.models.admission import Admission
from corral_server.models.calls import Calls
from corral_server.models.event_stream import MAX_PENDING
from corral_server.request import Delta

pytestmark = pytest.mark.asyncio

DIED = EngineRestarting("died", retry_after_s=1.0)


class Engine:
    """Hears which calls are cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[int] = []
        self.calls = Calls(Admission(), self.cancelled.append)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def delta(call: int, text: str = "a") -> Output:
    return Output(call, Delta(text=text, completion_tokens=1))


def rejected(call: int) -> Rejected:
    return Rejected(call, Failure.of(ContextLengthExceeded("too long")))


def vectors(call: int) -> Embedded:
    return Embedded(call=call, size=1, vectors=bytes(4), token_counts=(1,), is_last=True)


async def test_every_call_has_a_number_of_its_own(engine: Engine) -> None:
    assert len({engine.calls.next_number() for _ in range(10)}) == 10


async def test_each_reader_has_what_is_reported_of_its_call(engine: Engine) -> None:
    calls = engine.calls
    with calls.generation(1) as one, calls.generation(2) as two, calls.embedding(3) as three:
        with calls.question(4) as four:
            for report in (delta(2, "two"), vectors(3), delta(1, "one"), Counted(4, 7)):
                calls.take(report)
            assert (await one.next(), await two.next()) == (
                Delta(text="one", completion_tokens=1),
                Delta(text="two", completion_tokens=1),
            )
            assert (await three.next(), await four) == (vectors(3), Counted(4, 7))
    assert len(calls) == 0


async def test_a_rejection_reaches_its_call_of_any_kind_alone(engine: Engine) -> None:
    calls = engine.calls
    with calls.generation(1) as one, calls.embedding(2) as two, calls.question(3) as three:
        with calls.generation(4) as other:
            for call in (1, 2, 3):
                calls.take(rejected(call))
            for reading in (one.next(), two.next(), three):
                with pytest.raises(ContextLengthExceeded):
                    await reading
            assert not other.has_failed


async def test_what_is_reported_of_calls_that_are_gone_is_dropped(engine: Engine) -> None:
    for report in (delta(1), vectors(2), Counted(3, 1), rejected(4)):
        engine.calls.take(report)
    assert len(engine.calls) == 0


async def test_a_call_nobody_reads_is_cut_off_and_cancelled_once(engine: Engine) -> None:
    with engine.calls.generation(1) as stream:
        for _ in range(MAX_PENDING + 5):
            engine.calls.take(delta(1))
        assert engine.cancelled == [1]
        assert (await stream.next()).completion_tokens == 1  # type: ignore[union-attr]
        with pytest.raises(SlowConsumer):
            await stream.next()


async def test_after_the_end_every_call_fails_and_so_does_every_later_one(engine: Engine) -> None:
    calls = engine.calls
    with calls.generation(1) as one, calls.embedding(2) as two, calls.question(3) as three:
        calls.end(DIED)
        calls.end(InternalError("later"))
        for reading in (one.next(), two.next(), three):
            with pytest.raises(EngineRestarting):
                await reading
    with pytest.raises(EngineRestarting):
        calls.next_number()


async def test_what_no_engine_that_is_ready_says_is_an_error(engine: Engine) -> None:
    with pytest.raises(InternalError, match="Proceed"):
        engine.calls.take(Proceed())  # type: ignore[arg-type]
