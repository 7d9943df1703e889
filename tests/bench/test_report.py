"""A report says what was measured, what was reached, and what failed."""

from pathlib import Path

import pytest

from bench.machine import Machine
from bench.measure import CEILING, CORRAL, LLAMA_SERVER
from bench.outcome import Outcome, Run, read_outcomes
from bench.report import in_words, measured_goals, report
from bench.spread import Spread

MACHINE = Machine(processor="A processor", cores=2, memory_gb=8, software="Linux")


def run(side: str, repetition: int, rate: float, *faults: str) -> Run:
    metrics = {"tokens_per_s": rate}
    return Run(side=side, repetition=repetition, metrics=metrics, faults=list(faults))


def outcome(*runs: Run, workload: str = "independent-8") -> Outcome:
    return Outcome(
        workload=workload,
        model="small",
        about="streams at once",
        slots=8,
        context=4096,
        machine=MACHINE,
        commit="abc",
        runs=list(runs),
    )


def page(*outcomes: Outcome) -> str:
    return "\n".join(report(outcomes, []))


def test_a_goal_is_held_against_the_median_of_the_paired_ratios() -> None:
    measured = outcome(
        *(run(CORRAL, 1, 110), run(LLAMA_SERVER, 1, 100), run(CEILING, 1, 125)),
        *(run(CORRAL, 2, 55), run(LLAMA_SERVER, 2, 50), run(CEILING, 2, 50)),
        *(run(CORRAL, 3, 130), run(LLAMA_SERVER, 3, 100), run(CEILING, 3, 130)),
    )
    rate, part = (goal.reached(found.median) for goal, found in measured_goals([measured]))
    assert rate  # 1.1 of llama-server
    assert part  # 1.0 of the ceiling
    assert "| 1.1 (1.1 to 1.3) | yes |" in page(measured)


def test_a_goal_that_is_missed_says_so() -> None:
    text = page(outcome(run(CORRAL, 1, 90), run(LLAMA_SERVER, 1, 100)))
    assert "| tokens_per_s | ≥ 1.05 x llama-server | 0.9 | **no** |" in text


def test_a_run_with_faults_does_not_count_and_is_named() -> None:
    cut = run(CORRAL, 2, 900, "3 tokens instead of 64")
    measured = outcome(run(CORRAL, 1, 90), run(LLAMA_SERVER, 1, 100), cut, run(LLAMA_SERVER, 2, 1))
    assert measured.series(CORRAL, "tokens_per_s") == {1: 90}
    assert measured.faults == ["corral: 3 tokens instead of 64"]
    assert "- corral: 3 tokens instead of 64" in page(measured)
    assert "900" not in page(measured)


def test_a_workload_where_every_run_failed_reaches_nothing() -> None:
    measured = outcome(run(CORRAL, 1, 90, "cut"), run(LLAMA_SERVER, 1, 100))
    assert list(measured_goals([measured])) == []


def test_outcomes_survive_their_file(tmp_path: Path) -> None:
    kept = outcome(run(CORRAL, 1, 90), run(LLAMA_SERVER, 1, 100))
    kept.write(tmp_path)
    assert read_outcomes(tmp_path) == [kept]


def test_the_machine_and_the_commit_are_named_once() -> None:
    text = page(outcome(run(CORRAL, 1, 1)), outcome(run(CORRAL, 1, 1), workload="shared"))
    assert text.count("A processor, 2 cores, 8 GB; Linux; commit abc") == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (Spread(1.2345, 1.2345, 1.2345), "1.23"),
        (Spread(1.05, 0.9, 12.34), "1.05 (0.9 to 12.3)"),
        (Spread(12345.6, 12000, 13000), "12346 (12000 to 13000)"),
    ],
)
def test_numbers_have_three_digits(values: Spread, words: str) -> None:
    assert in_words(values) == words
