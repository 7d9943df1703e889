"""Keeps callers' text text: a control token written in it never becomes one.

A template mixes its own control tokens with what callers wrote, and the whole is tokenized at
once. So a mark is put into callers' text wherever a control token could come to be, and the
rendered prompt is cut at the marks: each part is tokenized on its own, and no part holds a forged
token. Text that forges nothing is not marked and is tokenized exactly as it would be anyway.
"""

import re
from collections.abc import Iterable

# A noncharacter, which Unicode keeps for uses like this one. In callers' text it is dropped, and
# the text is cut there, which joins nothing.
_MARK = "\U0010fffe"


class ControlEscaper:
    """Escapes the control tokens of one vocabulary."""

    def __init__(self, control_texts: Iterable[str]) -> None:
        texts = sorted({text.lower() for text in control_texts})
        self._longest = max(map(len, texts), default=0)
        self._beginnings = frozenset(text[:end] for text in texts for end in range(1, len(text)))
        self._joined = "\0".join(texts)
        self._endings = frozenset(text[start:] for text in texts for start in range(1, len(text)))
        self._single = frozenset(text for text in texts if len(text) == 1)
        # Takes one character, so that a token which overlaps or lies within another is found too.
        first = (f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in texts)
        self._forged = re.compile("|".join(first) or "(?!)", re.IGNORECASE)

    def escape(self, text: str) -> str:
        """`text` with marks where it holds, begins or ends a control token.

        Case and outer whitespace are ignored, since a template may change them. Beginnings and
        endings count since a template may put two texts side by side.
        """
        if not text or not self._longest:
            return text
        inner = self._forged.sub(rf"{_MARK}\g<0>{_MARK}", text)
        core = text.strip().lower()
        opening = _MARK if core and self._continues(core) else ""
        closing = _MARK if core and self._opens(core) else ""
        return f"{opening}{inner}{closing}"

    def split(self, rendered: str) -> list[tuple[str, bool]]:
        """The parts between marks, each with whether control tokens in it are meant."""
        parts = rendered.split(_MARK)
        return [(part, part.lower() not in self._single) for part in parts if part]

    def _continues(self, text: str) -> bool:
        if len(text) < self._longest and text in self._joined:
            return True
        return any(text[:length] in self._endings for length in range(1, self._longest))

    def _opens(self, text: str) -> bool:
        return any(text[-length:] in self._beginnings for length in range(1, self._longest))
