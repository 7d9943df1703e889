"""What both servers are put through, and on which models."""

from functools import partial

from bench.batched_bench import Ceiling
from bench.load.plan import Conversation, Plan, Turn
from bench.measure import ColdStart, Embeddings, Generation, Idle, Workload
from bench.metrics import of_intruder, of_overload
from bench.prompts import Prompts
from bench.servers import Settings

_PROMPT, _ANSWER = 90, 64
_WAVES = {1: 8, 8: 3, 32: 2}
_CONTEXT = {1: 2048, 8: 4096, 32: 8192}
_SLOTS = 8


def _independent(streams: int, *, sampled: bool = False) -> Generation:
    chosen = ", with the default sampling" if sampled else ""
    return Generation(
        name=f"independent-{streams}{'-sampled' if sampled else ''}",
        about=f"{streams} streams at once, prompts of {_PROMPT} tokens, answers of {_ANSWER}"
        f"{chosen}",
        settings=Settings(slots=streams, context=_CONTEXT[streams]),
        plan=partial(_plan_independent, streams=streams, sampled=sampled),
        ceiling=Ceiling(streams=streams, prompt=_PROMPT, answer=_ANSWER),
    )


def _plan_independent(prompts: Prompts, *, streams: int, sampled: bool) -> Plan:
    return Plan(
        warm_up=prompts.warm_up(streams),
        waves=[
            prompts.wave(streams, length=_PROMPT, max_tokens=_ANSWER)
            for _ in range(_WAVES[streams])
        ],
        sampled=sampled,
    )


def _plan_shared(prompts: Prompts) -> Plan:
    common = prompts.tokens(800)
    wave = [Conversation(turns=[Turn(common + prompts.tokens(10), 32)]) for _ in range(16)]
    return Plan(warm_up=prompts.warm_up(16), waves=[wave])


def _plan_multi_turn(prompts: Prompts) -> Plan:
    wave = [
        Conversation(turns=[Turn(prompts.tokens(length), 48) for length in (200, 40, 40, 40)])
        for _ in range(8)
    ]
    return Plan(warm_up=prompts.warm_up(4), waves=[wave])


def _plan_intruder(prompts: Prompts) -> Plan:
    intruder = Conversation(turns=[Turn(prompts.tokens(2000), 16)], joins_at=32)
    streams = prompts.wave(4, length=_PROMPT, max_tokens=256)
    return Plan(warm_up=prompts.warm_up(4), waves=[[*streams, intruder]])


def _plan_overload(prompts: Prompts) -> Plan:
    wave = prompts.wave(10 * _SLOTS, length=_PROMPT, max_tokens=_ANSWER)
    return Plan(warm_up=prompts.warm_up(_SLOTS), waves=[wave])


def _plan_first_answer(prompts: Prompts) -> Plan:
    return Plan(waves=[prompts.wave(1, length=_PROMPT, max_tokens=8)])


_ALL: tuple[Workload, ...] = (
    *(_independent(streams) for streams in _WAVES),
    *(_independent(streams, sampled=True) for streams in _WAVES),
    Generation(
        name="shared",
        about="16 streams at once on an empty cache: 800 tokens in common, 10 own, answers of 32",
        settings=Settings(slots=16, context=16384),
        plan=_plan_shared,
    ),
    Generation(
        name="multi-turn",
        about="8 conversations of 4 turns on 4 slots: 200 tokens, then 40 more each turn,"
        " answers of 48",
        settings=Settings(slots=4, context=8192),
        plan=_plan_multi_turn,
    ),
    Generation(
        name="intruder",
        about="4 streams decode while a prompt of 2,000 tokens arrives",
        settings=Settings(slots=5, context=8192),
        plan=_plan_intruder,
        reduce=of_intruder,
    ),
    Generation(
        name="overload",
        about=f"{10 * _SLOTS} streams at once on {_SLOTS} slots; with Corral {4 * _SLOTS} may wait",
        settings=Settings(slots=_SLOTS, context=_CONTEXT[8], max_waiting=4 * _SLOTS),
        plan=_plan_overload,
        reduce=of_overload,
    ),
    Embeddings(
        name="embeddings",
        about="vectors of 1,000 texts of 20 to 200 tokens, asked for with one call",
        settings=Settings(slots=_SLOTS, context=4096, embeds=True),
        texts=1000,
        least=20,
        most=200,
    ),
    ColdStart(
        name="cold-start",
        about="from the start of the process to a first token, the files in the page cache",
        settings=Settings(slots=_SLOTS, context=_CONTEXT[8]),
        plan=_plan_first_answer,
    ),
    Idle(
        name="idle",
        about="a loaded server that has answered once, and whom nobody asks",
        settings=Settings(slots=_SLOTS, context=_CONTEXT[8]),
        plan=_plan_first_answer,
        settle_s=2,
        idle_s=10,
    ),
)
WORKLOADS = {workload.name: workload for workload in _ALL}

# Measured once before it counts, so that every file is in the page cache.
REHEARSED = ("cold-start",)

# What is compared, in the order of the report: workload and model.
QUICK = tuple(
    (name, "small")
    for name in (
        *("independent-1", "independent-8", "independent-32"),
        *("shared", "multi-turn", "intruder", "overload", "cold-start"),
    )
)
FULL = (
    ("independent-1", "tiny"),
    *((name, "small") for name in WORKLOADS),
    ("independent-1", "qwen3-0.6b"),
    ("independent-8", "qwen3-0.6b"),
    ("shared", "qwen3-0.6b"),
    ("intruder", "qwen3-0.6b"),
    ("embeddings", "demo"),
)
