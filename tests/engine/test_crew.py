"""How many threads compute a step."""

from collections.abc import Callable

from corral_server.engine.crew import MOST_TOKENS, Crew
from corral_server.llama.effort import Effort

Cost = Callable[[int], float]


def computed(
    crew: Crew, steps: int, cost: Cost, *, busy: float = 1.0, num_tokens: int = 1
) -> list[int]:
    """The threads of so many steps that take what `cost` says for their threads, of which the first
    computes for the part `busy`."""
    sizes = []
    for _ in range(steps):
        size = crew.size(num_tokens)
        took_s = cost(size)
        crew.learn(num_tokens, Effort(took_s, took_s * busy))
        sizes.append(size)
    return sizes


def gains(threads: int) -> float:
    return 0.01 / threads


def loses(threads: int) -> float:
    return 0.01 * threads


def test_threads_that_do_not_wait_are_all_used() -> None:
    assert set(computed(Crew(4), 5000, gains)) == {4}


def test_threads_that_wait_and_gain_even_so_are_tried_out_seldom() -> None:
    sizes = computed(Crew(2), 5000, gains, busy=0.5)
    assert 0 < sizes.count(1) < 50


def test_where_threads_cost_more_than_they_save_one_computes() -> None:
    sizes = computed(Crew(8), 1000, loses, busy=0.5)
    assert sizes.index(1) < 100
    assert sizes[100:].count(1) > 850


def test_a_number_in_between_is_found() -> None:
    cost = {8: 3.0, 4: 1.0, 2: 2.0, 1: 4.0}
    sizes = computed(Crew(8), 1000, lambda threads: cost[threads], busy=0.5)
    assert sizes[100:].count(4) > 850


def test_one_slow_step_ends_a_trial() -> None:
    assert computed(Crew(2), 12, gains, busy=0.5) == [2] * 8 + [1] + [2] * 3


def test_one_step_that_waits_is_no_reason() -> None:
    crew = Crew(2)
    computed(crew, 100, gains)
    computed(crew, 1, gains, busy=0.1)
    assert set(computed(crew, 100, gains)) == {2}


def test_where_another_model_begins_to_compute_fewer_are_tried_at_once() -> None:
    crew = Crew(2)
    computed(crew, 2000, gains)
    sizes = computed(crew, 20, loses, busy=0.5)
    assert sizes[5:].count(1) >= 14


def test_where_another_model_ends_to_compute_all_are_used_again() -> None:
    crew = Crew(2)
    computed(crew, 2000, loses, busy=0.5)
    sizes = computed(crew, 200, gains)
    assert set(sizes[140:]) == {2}


def test_steps_of_different_numbers_of_tokens_are_told_apart() -> None:
    crew = Crew(2)
    for _ in range(100):
        computed(crew, 1, loses, busy=0.5, num_tokens=1)
        computed(crew, 1, gains, num_tokens=8)
    assert (crew.size(1), crew.size(8)) == (1, 2)


def test_prompts_have_all_threads() -> None:
    sizes = computed(Crew(2), 100, loses, busy=0.5, num_tokens=MOST_TOKENS + 1)
    assert set(sizes) == {2}


def test_one_thread_is_no_choice() -> None:
    assert set(computed(Crew(1), 100, gains, busy=0.5)) == {1}
