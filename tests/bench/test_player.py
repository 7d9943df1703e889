"""What a load generator does with a plan, against a target that answers by a script."""

import asyncio

import pytest

from bench.load.plan import Conversation, Plan, Seen, Turn
from bench.load.player import play
from bench.load.target import Ask, Ending, Hear, Vectors

pytestmark = pytest.mark.asyncio


class ScriptedTarget:
    """Answers with the tokens 1, 2, 3, ... and remembers the prompts. `fails_at`: the call that
    ends with an error after one token."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.prompts: list[list[int]] = []
        self.tokens_out = 0
        self._fails_at = fails_at

    async def answer(self, ask: Ask, hear: Hear) -> Ending:
        self.prompts.append(list(ask.prompt))
        if len(self.prompts) == self._fails_at:
            hear(1)
            return Ending(error="broken")
        for count in range(1, ask.max_tokens + 1):
            hear(count)
            self.tokens_out += 1
            await asyncio.sleep(0)
        tokens = list(range(1, ask.max_tokens + 1)) if ask.keep else []
        return Ending(prompt_tokens=len(ask.prompt), tokens=tokens)

    async def embed(self, texts: list[str]) -> Vectors:
        return Vectors(len(texts), sum(map(len, texts)))

    async def close(self) -> None: ...


async def played(plan: Plan, target: ScriptedTarget) -> Seen:
    seen = await play(plan, target)
    assert isinstance(seen, Seen)
    return seen


async def test_a_turn_goes_on_where_the_answer_before_it_ended() -> None:
    target = ScriptedTarget()
    talk = Conversation(turns=[Turn([70, 71], 3), Turn([80], 1)])
    await played(Plan(waves=[[talk]]), target)
    assert target.prompts == [[70, 71], [70, 71, 1, 2, 3, 80]]


async def test_one_that_joins_late_waits_for_the_tokens_of_all_others() -> None:
    target = ScriptedTarget()
    late = Conversation(turns=[Turn([9], 1)], joins_at=4)
    wave = [late, *(Conversation(turns=[Turn([number], 8)]) for number in (1, 2))]
    seen = await played(Plan(waves=[wave]), target)
    (intruder, *others) = seen.waves[0]
    assert target.prompts[-1] == [9]
    for answer in others:
        before = [tokens for at_s, tokens in answer.arrivals if at_s <= intruder.sent_s]
        assert before[-1] >= 4
        assert answer.arrivals[-1][0] > intruder.sent_s


async def test_one_that_joins_late_does_not_wait_for_ever() -> None:
    late = Conversation(turns=[Turn([9], 1)], joins_at=100)
    short = Conversation(turns=[Turn([1], 2)])
    seen = await played(Plan(waves=[[short, late]]), ScriptedTarget())
    assert [answer.tokens for answer in seen.waves[0]] == [2, 1]


async def test_a_conversation_ends_with_its_first_error() -> None:
    target = ScriptedTarget(fails_at=1)
    talk = Conversation(turns=[Turn([70], 3), Turn([80], 1)])
    seen = await played(Plan(waves=[[talk]]), target)
    assert [answer.error for answer in seen.waves[0]] == ["broken"]
    assert len(target.prompts) == 1


async def test_waves_follow_one_another() -> None:
    target = ScriptedTarget()
    waves = [[Conversation(turns=[Turn([wave], 2)])] for wave in (1, 2)]
    seen = await played(Plan(waves=waves), target)
    (first,), (second,) = seen.waves
    assert second.sent_s >= first.ended_s
