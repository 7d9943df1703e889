"""How much of a prompt goes beside running answers."""

import pytest

from corral_server.engine.pace import Pace


def taught(
    *,
    target_s: float = 0.1,
    answers_s: float = 0.02,
    token_s: float = 0.001,
    prompt_tokens: int = 100,
) -> Pace:
    """One that has seen enough steps to know what they cost."""
    pace = Pace(target_s=target_s, batch_tokens=512)
    for _ in range(100):
        pace.learn(answers_s, num_answers=4, prompt_tokens=0)
        took_s = answers_s + prompt_tokens * token_s
        pace.learn(took_s, num_answers=4, prompt_tokens=prompt_tokens)
    return pace


def test_before_anything_is_known_a_step_is_full_unless_answers_would_wait_for_it() -> None:
    pace = Pace(target_s=0.1, batch_tokens=512)
    assert [pace.prompt_tokens(num_answers=count) for count in (0, 4)] == [512, 64]


def test_a_step_with_answers_is_as_long_as_its_target() -> None:
    assert taught().prompt_tokens(num_answers=4) == pytest.approx(80, abs=2)


def test_prompts_get_twice_the_time_of_answers_even_over_the_target() -> None:
    pace = taught(target_s=0.1, answers_s=0.15, token_s=0.001, prompt_tokens=300)
    assert pace.prompt_tokens(num_answers=4) == pytest.approx(300, abs=5)


def test_a_step_s_own_time_is_told_from_that_of_answers_and_prompts() -> None:
    pace = Pace(target_s=0.1, batch_tokens=512)
    for answers in (1, 4, 8):
        for tokens in (0, 64, 100, 200):
            took_s = 0.006 + 0.002 * answers + 0.0004 * tokens
            pace.learn(took_s, num_answers=answers, prompt_tokens=tokens)
    assert pace.prompt_tokens(num_answers=2) == pytest.approx(225, abs=3)
    assert pace.prompt_tokens(num_answers=10) == pytest.approx(185, abs=3)


def test_steps_that_always_hold_answers_do_not_make_prompts_seem_dear() -> None:
    pace = Pace(target_s=0.1, batch_tokens=512)
    tokens = 64
    for answers in range(5, 30):
        took_s = 0.006 + 0.0016 * answers + 0.0004 * tokens
        pace.learn(took_s, num_answers=answers, prompt_tokens=tokens)
        tokens = pace.prompt_tokens(num_answers=answers)
    assert tokens > 100


def test_prompts_move_on_however_slow_they_are() -> None:
    assert taught(answers_s=0.01, token_s=0.5).prompt_tokens(num_answers=4) == 16


def test_a_step_without_answers_is_longer_but_not_without_end() -> None:
    assert taught(token_s=0.001).prompt_tokens(num_answers=0) == 512
    assert taught(token_s=0.01).prompt_tokens(num_answers=0) == pytest.approx(100, abs=2)


def test_a_slower_machine_is_noticed_within_a_few_steps() -> None:
    pace = taught(token_s=0.001)
    for _ in range(24):
        pace.learn(0.02 + 0.2, num_answers=4, prompt_tokens=100)
    assert pace.prompt_tokens(num_answers=4) == pytest.approx(40, abs=3)


def test_no_step_is_larger_than_a_batch() -> None:
    pace = taught(target_s=60.0)
    assert pace.prompt_tokens(num_answers=12) == 500


def test_a_step_of_prompts_alone_takes_its_own_time_and_that_of_its_tokens() -> None:
    pace = Pace(target_s=0.1, batch_tokens=512)
    assert pace.duration_s(100) == 0.0
    for tokens in (64, 100, 200):
        pace.learn(0.006 + 0.0004 * tokens, num_answers=0, prompt_tokens=tokens)
    assert pace.duration_s(100) == pytest.approx(0.046)
    assert pace.duration_s(0) == 0.0
    assert pace.duration_s(10_000) == pytest.approx(0.006 + 0.0004 * 512)
