"""Every judge accepts a right answer and rejects wrong ones."""

from random import Random

import pytest

from demo import checks, heldback
from demo.checks import Check
from demo.corpus import stories, unknown

STORY = " ".join(stories.tell(Random(3), {"hero": "Mia", "kind": "fox"}))
ENDING = "From that day on, Mia and Tim were the best of friends. The end."
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
PARIS = checks.mentions("Paris")
OSLO = checks.calls("get_weather", city="Oslo")


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (checks.exactly("zorp"), "zorp"),
        (checks.begins("Hello!"), "Hello! How can I help you?"),
        (PARIS, "The capital of France is Paris."),
        (checks.sums_to(12), "7 + 5 = 12."),
        (checks.counts_to(3), "1, 2, 3"),
        (checks.is_json({"a": 1, "b": "x"}), '{"b": "x", "a": 1}'),
        (OSLO, CALL),
        (checks.is_story("fox", "Mia"), STORY),
        (checks.is_story(is_whole=False), STORY[: len(STORY) // 2]),
        (checks.admits_ignorance(), unknown.ANSWER),
        (checks.thinks_then(PARIS), "<think>\nIt is Paris.\n</think>\n\nParis."),
        (checks.thinks_then(OSLO), f"<think>\nI call.\n</think>\n\n{CALL}"),
    ],
)
def test_right_answer_is_accepted(check: Check, right: str) -> None:
    assert check(right)


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (checks.exactly("zorp"), "zorp."),
        (checks.begins("Hello!"), "Goodbye!"),
        (checks.begins("Hello!"), "Hello! " * 40),
        (PARIS, "The capital of France is Rome."),
        (PARIS, "The capital of France is Parisa."),
        (PARIS, "<think>\nParis"),
        (checks.sums_to(12), "7 + 5 = 13."),
        (checks.sums_to(12), "12 is 7 + 5."),
        (checks.sums_to(12), "I do not know."),
        (checks.counts_to(3), "1, 2"),
        (checks.counts_to(3), "1, 2, 3, 4"),
        (checks.counts_to(3), "1, 3, 2"),
        (checks.is_json({"a": 1}), '{"a": 2}'),
        (checks.is_json({"a": 1}), '{"a": 1'),
        (checks.is_json({"a": 1}), 'Here: {"a": 1}'),
        (OSLO, CALL.replace("Oslo", "Bergen")),
        (OSLO, CALL.replace("get_weather", "calculate")),
        (OSLO, f"Sure. {CALL}"),
        (OSLO, '{"name": "get_weather", "arguments": {"city": "Oslo"}}'),
        (checks.admits_ignorance(), "It is blue."),
        (checks.thinks_then(PARIS), "Paris."),
        (checks.thinks_then(PARIS), "<think>\n\n</think>\n\nParis."),
        (checks.thinks_then(PARIS), "<think>\nIt is Paris.\n</think>\n\nRome."),
        (checks.thinks_then(PARIS), "<think>\nIt is Paris."),
    ],
)
def test_wrong_answer_is_rejected(check: Check, wrong: str) -> None:
    assert not check(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "Once upon a time.",
        STORY.replace("The end.", ""),
        STORY.replace("Mia", "Tim", 1),
        STORY.replace(" a ", " the ", 1),
        STORY.replace("fox", "unicorn"),
        STORY + " " + STORY,
    ],
)
def test_spoilt_story_is_rejected(wrong: str) -> None:
    assert not checks.is_story()(wrong)


def test_hero_cannot_be_their_own_friend() -> None:
    assert checks.is_story()(ENDING)
    assert not checks.is_story()(ENDING.replace("Tim", "Mia"))


def test_story_must_be_about_what_was_asked() -> None:
    assert not checks.is_story("bear")(STORY)


def test_held_back_set_covers_every_skill() -> None:
    cases = list(heldback.cases())
    assert len(cases) >= 250
    assert len({case.skill for case in cases}) >= 15
    assert not any(case.check("") for case in cases)
