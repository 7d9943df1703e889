"""How many threads compute a step."""

from collections.abc import Callable

from corral_server.engine.crew import MOST_TOKENS, Crew

Cost = Callable[[int], float]


def computed(crew: Crew, steps: int, cost: Cost, *, num_tokens: int = 1) -> list[int]:
    """The threads of so many steps that take what `cost` says for their threads."""
    sizes = []
    for _ in range(steps):
        size = crew.size(num_tokens)
        crew.learn(num_tokens, cost(size))
        sizes.append(size)
    return sizes


def gains(threads: int) -> float:
    return 0.01 / threads


def loses(threads: int) -> float:
    return 0.01 * threads


def test_it_begins_with_all_threads() -> None:
    assert Crew(4).size(1) == 4


def test_where_threads_gain_nearly_all_steps_have_all() -> None:
    sizes = computed(Crew(2), 5000, gains)
    assert sizes.count(1) < 30


def test_where_threads_cost_more_than_they_save_one_computes() -> None:
    sizes = computed(Crew(8), 1000, loses)
    assert set(sizes[-100:]) == {1}
    assert sizes.index(1) < 100


def test_a_number_in_between_is_found() -> None:
    sizes = computed(Crew(8), 1000, lambda threads: {8: 3.0, 4: 1.0, 2: 2.0, 1: 4.0}[threads])
    assert sizes[500:].count(4) > 490


def test_one_slow_step_ends_a_trial() -> None:
    sizes = computed(Crew(2), 12, gains)
    assert sizes == [2] * 8 + [1] + [2] * 3


def test_one_slow_step_among_fast_ones_changes_nothing() -> None:
    crew = Crew(2)
    computed(crew, 300, gains)
    crew.learn(1, 10 * gains(2))
    assert set(computed(crew, 100, gains)) == {2}


def test_where_another_model_begins_to_compute_it_is_tried_out_at_once() -> None:
    crew = Crew(2)
    computed(crew, 2000, gains)
    sizes = computed(crew, 20, lambda threads: 0.05 if threads == 2 else 0.015)
    assert sizes[-10:].count(1) >= 9


def test_where_another_model_ends_to_compute_all_threads_are_used_again() -> None:
    crew = Crew(2)
    computed(crew, 2000, lambda threads: 0.05 if threads == 2 else 0.015)
    sizes = computed(crew, 20, gains)
    assert sizes[-10:].count(2) >= 9


def test_steps_of_different_numbers_of_tokens_are_told_apart() -> None:
    crew = Crew(2)
    for _ in range(500):
        computed(crew, 1, loses, num_tokens=1)
        computed(crew, 1, gains, num_tokens=8)
    assert (crew.size(1), crew.size(8)) == (1, 2)


def test_prompts_have_all_threads() -> None:
    assert set(computed(Crew(2), 100, loses, num_tokens=MOST_TOKENS + 1)) == {2}


def test_one_thread_is_no_choice() -> None:
    assert set(computed(Crew(1), 100, gains)) == {1}
