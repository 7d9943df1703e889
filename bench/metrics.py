"""From what a load generator saw to numbers, and to what makes them worthless.

A metric's name ends with its unit. Times between tokens are times between the messages that bring
them: a message with three tokens is one arrival, so that sending tokens together never looks fast.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.load.plan import Answer, Embedded, Seen
from bench.spread import percentile


@dataclass(frozen=True, slots=True)
class Measurement:
    """Numbers by name. Where there are `faults`, they are no result."""

    metrics: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


Reduce = Callable[[Seen], Measurement]


def of_answers(seen: Seen) -> Measurement:
    """Rates and times of waves in which every answer must come whole."""
    answers = [answer for wave in seen.waves for answer in wave]
    return Measurement(_rates(seen) | _times(answers), faults(answers))


def of_overload(seen: Seen) -> Measurement:
    """As of_answers, over the answers that were not refused; and how fast refusals came."""
    answers = [answer for wave in seen.waves for answer in wave]
    admitted = [answer for answer in answers if not answer.refusal]
    refused_ms = [_ms(answer.ended_s - answer.sent_s) for answer in answers if answer.refusal]
    metrics = _rates(seen) | _times(admitted) | {"refusals": len(refused_ms)}
    if refused_ms:
        metrics["refusal_p99_ms"] = percentile(refused_ms, 99)
    return Measurement(metrics, faults(admitted))


def of_intruder(seen: Seen) -> Measurement:
    """The one answer that came last, and the gaps of the others from its request to its start."""
    (wave,) = seen.waves
    problems = faults(wave)
    if problems:
        return Measurement(faults=problems)
    intruder = max(wave, key=lambda answer: answer.sent_s)
    others = [answer for answer in wave if answer is not intruder]
    begin_s, end_s = intruder.sent_s, intruder.arrivals[0][0]
    gaps = [
        _ms(later - earlier)
        for answer in others
        for earlier, later in _gaps(answer)
        if later > begin_s and earlier < end_s
    ]
    ended = sum(answer.arrivals[-1][0] < end_s for answer in others)
    if ended:
        problems = [f"{ended} streams ended before the long prompt's first token"]
    metrics = {
        "intruder_ttft_ms": _ms(end_s - begin_s),
        **_percentiles("gap", gaps),
        "gap_max_ms": max(gaps, default=0),
        "tokens_per_s": _rates(seen)["tokens_per_s"],
    }
    return Measurement(metrics, problems)


def of_embeddings(embedded: Embedded, texts: int, tokens: int) -> Measurement:
    """`texts` were sent, of so many tokens together."""
    problems = [embedded.error] if embedded.error else []
    if embedded.vectors != texts:
        problems.append(f"{embedded.vectors} vectors for {texts} texts")
    if embedded.tokens != tokens:
        problems.append(f"{embedded.tokens} tokens computed instead of {tokens}")
    metrics = {
        "texts_per_s": texts / embedded.took_s,
        "prompt_tokens_per_s": tokens / embedded.took_s,
    }
    return Measurement(metrics, problems)


def faults(answers: Iterable[Answer]) -> list[str]:
    """What makes a run no result: errors, refusals, answers cut short, prompts taken otherwise."""
    return sorted({fault for answer in answers if (fault := _fault(answer))})


def _fault(answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.refusal:
        return f"refused with {answer.refusal}"
    if answer.tokens != answer.max_tokens:
        return f"{answer.tokens} tokens instead of {answer.max_tokens}"
    if answer.prompt_tokens != answer.length:
        return f"a prompt of {answer.length} tokens counted as {answer.prompt_tokens}"
    return ""


def _rates(seen: Seen) -> dict[str, float]:
    """Tokens of whole answers per second of the waves, each from its first request to its end."""
    took_s = sum(
        max(answer.ended_s for answer in wave) - min(answer.sent_s for answer in wave)
        for wave in seen.waves
    )
    answers = [answer for wave in seen.waves for answer in wave]
    prompt_tokens = sum(answer.prompt_tokens for answer in answers)
    return {
        "tokens_per_s": sum(answer.tokens for answer in answers) / took_s,
        "cached_ratio": sum(answer.cached_tokens for answer in answers) / max(prompt_tokens, 1),
    }


def _times(answers: Sequence[Answer]) -> dict[str, float]:
    started = [answer for answer in answers if answer.arrivals]
    gaps = [_ms(later - earlier) for answer in started for earlier, later in _gaps(answer)]
    firsts = [_ms(answer.arrivals[0][0] - answer.sent_s) for answer in started]
    messages = sum(len(answer.arrivals) for answer in started)
    return {
        **_percentiles("ttft", firsts),
        **_percentiles("gap", gaps),
        "gap_max_ms": max(gaps, default=0),
        "tokens_per_message": sum(answer.tokens for answer in started) / max(messages, 1),
    }


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f"{name}_p{percent}_ms": percentile(values, percent) for percent in (50, 99)}


def _gaps(answer: Answer) -> Iterable[tuple[float, float]]:
    return pairwise(arrived_s for arrived_s, _ in answer.arrivals)


def _ms(seconds: float) -> float:
    return seconds * 1000
