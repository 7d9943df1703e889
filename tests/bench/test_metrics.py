"""What answers come to, and which of them make a run worthless."""

import pytest

from bench.load.plan import Answer, Embedded
from bench.metrics import of_answers, of_embeddings, of_intruder, of_overload
from bench_answers import answer, seen


def test_tokens_per_second_are_of_all_streams_from_first_request_to_last_end() -> None:
    measured = of_answers(seen(answer(1.0, 2.0), answer(1.0, 4.0)))
    assert measured.metrics["tokens_per_s"] == 1
    assert not measured.faults


def test_waves_add_up_without_the_pause_between_them() -> None:
    both = seen(answer(1.0, 2.0))
    both.waves.append([answer(11.0, 12.0, sent_s=10.0)])
    assert of_answers(both).metrics["tokens_per_s"] == 1


def test_time_to_first_token_begins_with_the_request() -> None:
    measured = of_answers(seen(answer(3.5, 4.0, sent_s=3.0)))
    assert measured.metrics["ttft_p50_ms"] == pytest.approx(500)


def test_tokens_that_come_together_are_one_arrival() -> None:
    together = answer(1.0, 2.0)
    together.arrivals = [(1.0, 1), (4.0, 3)]
    together.max_tokens = 3
    measured = of_answers(seen(together))
    assert measured.metrics["gap_p50_ms"] == pytest.approx(3000)
    assert measured.metrics["tokens_per_message"] == 1.5


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (answer(1.0, max_tokens=2), "1 tokens instead of 2"),
        (answer(error="UNAVAILABLE"), "UNAVAILABLE"),
        (answer(refusal="QUEUE_FULL"), "refused with QUEUE_FULL"),
    ],
)
def test_an_answer_cut_short_voids_the_run(bad: Answer, fault: str) -> None:
    assert of_answers(seen(answer(1.0), bad)).faults == [fault]


def test_a_prompt_counted_otherwise_voids_the_run() -> None:
    other = answer(1.0)
    other.prompt_tokens = 11
    assert of_answers(seen(other)).faults == ["a prompt of 10 tokens counted as 11"]


def test_refusals_are_counted_and_timed_where_more_is_asked_than_fits() -> None:
    refused = answer(refusal="QUEUE_FULL")
    refused.ended_s = 0.002
    measured = of_overload(seen(answer(1.0), refused))
    assert not measured.faults
    assert measured.metrics["refusals"] == 1
    assert measured.metrics["refusal_p99_ms"] == pytest.approx(2)
    assert measured.metrics["ttft_p50_ms"] == pytest.approx(1000)


def test_a_cut_answer_voids_an_overload_too() -> None:
    assert of_overload(seen(answer(1.0, max_tokens=2), answer(refusal="QUEUE_FULL"))).faults


def test_an_intruder_is_held_against_the_gaps_it_makes() -> None:
    decoding = answer(1.0, 2.0, 6.0, 6.5)
    measured = of_intruder(seen(decoding, answer(5.9, sent_s=2.5)))
    assert measured.metrics["intruder_ttft_ms"] == pytest.approx(3400)
    assert measured.metrics["gap_max_ms"] == pytest.approx(4000)
    assert measured.metrics["gap_p50_ms"] == pytest.approx(4000)  # 1 s and 0.5 s are not its doing


def test_streams_that_end_before_the_intruder_starts_void_the_run() -> None:
    assert of_intruder(seen(answer(1.0, 2.0), answer(5.0, sent_s=1.5))).faults


@pytest.mark.parametrize(
    ("vectors", "tokens", "error"), [(9, 100, ""), (10, 99, ""), (10, 100, "UNAVAILABLE")]
)
def test_missing_vectors_or_tokens_void_the_run(vectors: int, tokens: int, error: str) -> None:
    embedded = Embedded(vectors=vectors, tokens=tokens, took_s=2, cpu_s=0, error=error)
    assert of_embeddings(embedded, texts=10, tokens=100).faults


def test_texts_per_second() -> None:
    embedded = Embedded(vectors=10, tokens=100, took_s=2, cpu_s=0)
    measured = of_embeddings(embedded, texts=10, tokens=100)
    assert measured.metrics["texts_per_s"] == 5
    assert not measured.faults
