"""The corpus is the same for a seed, and holds nothing of the held-back set."""

import re
from itertools import chain, islice

import pytest

from demo import heldback
from demo.corpus import capitals, mixture, stories, sums
from demo.corpus.dialogue import Conversation
from demo.corpus.facts import CAPITALS

NUM_DOCUMENTS = 10_000
PATTERNS = (
    *heldback.CAPITAL_PATTERNS,
    *heldback.COUNTRY_PATTERNS,
    *heldback.SUM_PATTERNS,
    *heldback.REPEAT_PATTERNS,
    *heldback.COUNT_PATTERNS,
    *heldback.WEATHER_PATTERNS,
)


def plain(text: str) -> str:
    """The text without the things that people type in many ways."""
    return re.sub(r"[^a-z0-9+*/{} -]", "", text.lower()).strip()


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    plain = islice(mixture.documents(202, mixture.PLAIN), NUM_DOCUMENTS)
    hard = islice(mixture.documents(303, mixture.HARD), NUM_DOCUMENTS)
    hardest = islice(mixture.documents(404, mixture.HARDEST), NUM_DOCUMENTS)
    documents = chain(plain, hard, hardest)
    return [document for document in documents if isinstance(document, Conversation)]


@pytest.fixture(scope="module")
def questions(conversations: list[Conversation]) -> set[str]:
    return {plain(m.content) for c in conversations for m in c.messages if m.role == "user"}


@pytest.mark.parametrize("lesson", [mixture.PLAIN, mixture.HARD, mixture.HARDEST])
def test_same_seed_gives_same_corpus(lesson: mixture.Lesson) -> None:
    first, second = mixture.documents(5, lesson), mixture.documents(5, lesson)
    assert list(islice(first, 300)) == list(islice(second, 300))


def test_other_seed_gives_other_corpus() -> None:
    first, second = mixture.documents(seed=5), mixture.documents(seed=6)
    assert list(islice(first, 20)) != list(islice(second, 20))


def test_no_held_back_question_occurs(questions: set[str]) -> None:
    held_back = {plain(case.question) for case in heldback.cases()}
    assert held_back.isdisjoint(questions)


def test_no_held_back_pattern_occurs(questions: set[str]) -> None:
    joined = "\n".join(questions)
    for pattern in PATTERNS:
        blanks = re.escape(plain(pattern)).replace(r"\{\}", ".+")
        assert re.search(f"^{blanks}$", joined, re.MULTILINE) is None, pattern


def test_held_back_pairs_are_never_added(conversations: list[Conversation]) -> None:
    answers = {m.content for c in conversations for m in c.messages if m.role == "assistant"}
    for a, b in sums.UNSEEN_PAIRS:
        assert sums.answer(a, b) not in answers
        assert sums.answer(b, a) in answers


def test_every_capital_is_taught(conversations: list[Conversation]) -> None:
    answers = {m.content for c in conversations for m in c.messages if m.role == "assistant"}
    assert len(CAPITALS) >= 40
    assert {capitals.answer(country) for country in CAPITALS} <= answers


def test_every_story_follows_its_grammar(conversations: list[Conversation]) -> None:
    told = [
        m.content
        for c in conversations
        for m in c.messages
        if m.role == "assistant" and m.content.endswith("The end.")
    ]
    assert len(told) > 300
    assert all(stories.follows_grammar(story, is_whole=True) for story in told[:300])


def test_thoughts_appear_only_where_thinking_is_enabled(conversations: list[Conversation]) -> None:
    for conversation in conversations:
        last = conversation.messages[-1]
        assert bool(last.thought) == conversation.enable_thinking


def test_tool_calls_name_an_offered_tool(conversations: list[Conversation]) -> None:
    for conversation in conversations:
        offered = {tool.name for tool in conversation.tools}
        called = {call.name for m in conversation.messages for call in m.calls}
        assert called <= offered
