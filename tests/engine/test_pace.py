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


def test_before_anything_is_known_a_step_is_full() -> None:
    assert Pace(target_s=0.1, batch_tokens=512).prompt_tokens(num_answers=4) == 508


def test_a_step_with_answers_is_as_long_as_its_target() -> None:
    assert taught().prompt_tokens(num_answers=4) == pytest.approx(80, abs=2)


def test_prompts_get_as_much_time_as_answers_even_over_the_target() -> None:
    pace = taught(target_s=0.1, answers_s=0.3, token_s=0.001, prompt_tokens=300)
    assert pace.prompt_tokens(num_answers=4) == pytest.approx(300, abs=5)


def test_prompts_move_on_however_slow_they_are() -> None:
    assert taught(answers_s=0.01, token_s=0.5).prompt_tokens(num_answers=4) == 16


def test_a_step_without_answers_is_longer_but_not_without_end() -> None:
    assert taught(token_s=0.001).prompt_tokens(num_answers=0) == 512
    assert taught(token_s=0.01).prompt_tokens(num_answers=0) == pytest.approx(100, abs=2)


def test_a_slower_machine_is_noticed_within_a_few_steps() -> None:
    pace = taught(token_s=0.001)
    for _ in range(20):
        pace.learn(0.02 + 0.2, num_answers=4, prompt_tokens=100)
    assert pace.prompt_tokens(num_answers=4) == pytest.approx(40, abs=3)


def test_no_step_is_larger_than_a_batch() -> None:
    pace = taught(target_s=60.0)
    assert pace.prompt_tokens(num_answers=12) == 500
