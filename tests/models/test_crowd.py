"""Who computes hears whether there are processors for all who do."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from corral_server.models.crowd import Crowd

pytestmark = pytest.mark.asyncio

SOON_S = 0.01


@dataclass(eq=False)
class Engine:
    """Remembers what it hears, without what it knows."""

    threads: int = 2
    heard: list[bool] = field(default_factory=lambda: [False])
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def crowd(self, is_crowded: bool) -> None:
        if is_crowded != self.heard[-1]:
            self.heard.append(is_crowded)
            self.changed.set()


async def test_who_computes_alone_hears_nothing() -> None:
    crowd, engine = Crowd(processors=2), Engine(threads=64)
    with crowd.work(engine), crowd.work(engine):
        assert engine.heard == [False]


async def test_both_hear_when_a_second_begins_and_who_is_left_when_it_is_through() -> None:
    crowd, one, other = Crowd(processors=2, linger_s=SOON_S), Engine(), Engine()
    with crowd.work(one):
        with crowd.work(other):
            assert one.heard == other.heard == [False, True]
        one.changed.clear()
        async with asyncio.timeout(10):
            await one.changed.wait()
        assert one.heard == [False, True, False]


async def test_a_pause_between_two_calls_is_no_change() -> None:
    crowd, one, other = Crowd(processors=2, linger_s=60), Engine(), Engine()
    with crowd.work(one):
        for _ in range(3):
            with crowd.work(other):
                assert crowd.is_crowded
    assert one.heard == other.heard == [False, True]


async def test_where_there_are_processors_for_all_nobody_hears_a_thing() -> None:
    crowd, engines = Crowd(processors=8), [Engine(threads=4), Engine(threads=4)]
    with ExitStack() as work:
        for engine in engines:
            work.enter_context(crowd.work(engine))
        assert [engine.heard for engine in engines] == [[False], [False]]
        work.enter_context(crowd.work(Engine(threads=1)))
        assert [engine.heard for engine in engines] == [[False, True], [False, True]]


async def test_who_begins_in_a_crowd_hears_of_it_though_it_was_alone_before() -> None:
    crowd, one, other = Crowd(processors=2, linger_s=SOON_S), Engine(), Engine()
    with crowd.work(other):
        pass
    with crowd.work(one), crowd.work(other):
        assert other.heard == [False, True]
