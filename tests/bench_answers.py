"""Answers as a load generator would have seen them."""

from bench.load.plan import Answer, Seen


def answer(
    *arrivals_s: float,
    sent_s: float = 0.0,
    max_tokens: int | None = None,
    refusal: str = "",
    error: str = "",
) -> Answer:
    """One token at each time, to a prompt of ten; whole unless `max_tokens` is more."""
    return Answer(
        conversation=0,
        max_tokens=len(arrivals_s) if max_tokens is None else max_tokens,
        length=10,
        sent_s=sent_s,
        ended_s=arrivals_s[-1] if arrivals_s else sent_s,
        arrivals=[(at_s, count) for count, at_s in enumerate(arrivals_s, start=1)],
        prompt_tokens=10,
        refusal=refusal,
        error=error,
    )


def seen(*answers: Answer) -> Seen:
    return Seen(waves=[list(answers)], cpu_s=0.0)
