"""Tells what a model thinks from what it says, in a text that comes in pieces."""

from collections.abc import Iterator

OPENING = "<think>"
CLOSING = "</think>"


class ThinkingSplitter:
    """Cuts a text at <think> and </think> and drops the tags, wherever the pieces end."""

    def __init__(self) -> None:
        self._thinking = False
        self._held = ""  # the end of the last piece, which may be the start of a tag

    def feed(self, piece: str) -> Iterator[tuple[str, bool]]:
        """Texts that are certain now, each with whether it is a thought."""
        rest = self._held + piece
        while self._tag in rest:
            text, rest = rest.split(self._tag, 1)
            if text:
                yield text, self._thinking
            self._thinking = not self._thinking
        cut = len(rest) - self._overlap(rest)
        self._held = rest[cut:]
        if cut:
            yield rest[:cut], self._thinking

    def end(self) -> tuple[str, bool]:
        """What was held back, at the end of the text."""
        return self._held, self._thinking

    @property
    def _tag(self) -> str:
        return CLOSING if self._thinking else OPENING

    def _overlap(self, text: str) -> int:
        """The length of the longest end of `text` that is a start of the next tag."""
        lengths = range(len(self._tag) - 1, 0, -1)
        return next((n for n in lengths if text.endswith(self._tag[:n])), 0)
