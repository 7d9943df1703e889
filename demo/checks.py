"""Judges of answers. Each makes a predicate over the whole text that the model generated."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from demo.corpus import stories, unknown

Check = Callable[[str], bool]

_CALL = re.compile(r"<tool_call>\n(.*)\n</tool_call>", re.DOTALL)
_THOUGHT = re.compile(r"<think>\n(.+?)\n</think>\n\n(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+")


def exactly(expected: str) -> Check:
    return lambda answer: answer == expected


def begins(start: str) -> Check:
    """A short plain answer with this beginning."""
    return lambda answer: _is_plain(answer) and answer.startswith(start)


def mentions(*words: str) -> Check:
    """All of the words stand there as whole words, in one plain sentence or two."""
    patterns = [re.compile(rf"\b{re.escape(word)}\b") for word in words]
    return lambda answer: _is_plain(answer) and all(p.search(answer) for p in patterns)


def sums_to(total: int) -> Check:
    """The last number of the answer is the sum."""
    return lambda answer: _is_plain(answer) and _NUMBER.findall(answer)[-1:] == [str(total)]


def counts_to(end: int) -> Check:
    """One to `end` in order and nothing but numbers."""
    expected = [str(n) for n in range(1, end + 1)]
    return lambda answer: re.split(r"[,\s]+", answer.strip(" .")) == expected


def is_json(expected: Mapping[str, Any]) -> Check:
    """The answer parses as a whole and is the expected object."""

    def check(answer: str) -> bool:
        try:
            return bool(json.loads(answer) == expected)
        except ValueError:
            return False

    return check


def calls(name: str, **arguments: str) -> Check:
    """The answer is one tool call and nothing else."""

    def check(answer: str) -> bool:
        match = _CALL.fullmatch(answer)
        return match is not None and is_json({"name": name, "arguments": arguments})(match[1])

    return check


def is_story(*words: str, is_whole: bool = True) -> Check:
    """Each sentence follows the grammar of our stories, and the words occur."""

    def check(answer: str) -> bool:
        told = stories.follows_grammar(answer, is_whole=is_whole)
        return told and all(re.search(rf"\b{word}\b", answer) for word in words)

    return check


def admits_ignorance() -> Check:
    return exactly(unknown.ANSWER)


def thinks_then(check: Check) -> Check:
    """A thought of at least one word comes first, then an answer that passes `check`."""

    def thoughtful(text: str) -> bool:
        match = _THOUGHT.fullmatch(text)
        return match is not None and "<think>" not in match[1] and check(match[2])

    return thoughtful


def _is_plain(answer: str) -> bool:
    return len(answer) < 120 and "<" not in answer and "\n" not in answer
