"""Plays a plan against one server and notes what comes, and when."""

import asyncio
import math
import time

from bench.load.plan import Answer, Conversation, Embedded, EmbedPlan, Plan, Seen, Wave
from bench.load.target import Ask, Hear, Target


async def warm_up(plan: Plan | EmbedPlan, target: Target) -> str:
    """Plays what goes before the measurement; what went wrong, or nothing."""
    if isinstance(plan, EmbedPlan):
        return (await target.embed(plan.warm_up)).error
    for wave in plan.warm_up:
        for answer in await _play_wave(wave, target, sampled=plan.sampled):
            if answer.error:
                return answer.error
    return ""


async def play(plan: Plan | EmbedPlan, target: Target) -> Seen | Embedded:
    """Plays what is measured."""
    cpu_s, started_s = time.process_time(), time.perf_counter()
    if isinstance(plan, EmbedPlan):
        vectors = await target.embed(plan.texts)
        return Embedded(
            vectors=vectors.count,
            tokens=vectors.tokens,
            error=vectors.error,
            took_s=time.perf_counter() - started_s,
            cpu_s=time.process_time() - cpu_s,
        )
    waves = [await _play_wave(wave, target, sampled=plan.sampled) for wave in plan.waves]
    return Seen(waves=waves, cpu_s=time.process_time() - cpu_s)


async def _play_wave(wave: Wave, target: Target, *, sampled: bool) -> list[Answer]:
    gate = _Gate(wave)
    async with asyncio.TaskGroup() as tasks:
        talks = [
            tasks.create_task(_talk(number, conversation, target, gate, sampled=sampled))
            for number, conversation in enumerate(wave)
        ]
    return [answer for talk in talks for answer in talk.result()]


async def _talk(
    number: int, conversation: Conversation, target: Target, gate: "_Gate", *, sampled: bool
) -> list[Answer]:
    """One conversation to its end, or to its first answer that is none."""
    if conversation.joins_at:
        await gate.opened.wait()
    answers: list[Answer] = []
    tokens: list[int] = []
    for turn in conversation.turns:
        tokens += turn.prompt
        keep = len(conversation.turns) > 1
        ask = Ask(prompt=tokens, max_tokens=turn.max_tokens, sampled=sampled, keep=keep)
        arrivals: list[tuple[float, int]] = []
        sent_s = time.perf_counter()
        ending = await target.answer(ask, _notes(arrivals, gate, number))
        answer = Answer(
            conversation=number,
            max_tokens=turn.max_tokens,
            length=len(tokens),
            sent_s=sent_s,
            ended_s=time.perf_counter(),
            arrivals=arrivals,
            prompt_tokens=ending.prompt_tokens,
            cached_tokens=ending.cached_tokens,
            refusal=ending.refusal,
            error=ending.error,
        )
        answers.append(answer)
        if answer.refusal or answer.error:
            break
        tokens += ending.tokens
    gate.note(number, math.inf)
    return answers


def _notes(arrivals: list[tuple[float, int]], gate: "_Gate", number: int) -> Hear:
    now = time.perf_counter

    def hear(tokens: int) -> None:
        arrivals.append((now(), tokens))
        if gate.closed:
            gate.note(number, tokens)

    return hear


class _Gate:
    """Opens when all conversations that join at 0 have had their tokens, for those that wait."""

    def __init__(self, wave: Wave) -> None:
        self.opened = asyncio.Event()
        self.closed = any(conversation.joins_at for conversation in wave)
        self._joins_at = max(conversation.joins_at for conversation in wave)
        self._tokens: dict[int, float] = {
            number: 0 for number, conversation in enumerate(wave) if not conversation.joins_at
        }

    def note(self, number: int, tokens: float) -> None:
        """Conversation `number` has had so many tokens; infinitely many when it has ended."""
        if number in self._tokens:
            self._tokens[number] = tokens
            if min(self._tokens.values()) >= self._joins_at:
                self.closed = False
                self.opened.set()
