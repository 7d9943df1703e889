"""From the bytes of tokens to text that is certain: whole characters, stop strings held back."""

import codecs


class TextStream:
    """The text of one answer.

    Bytes go in token by token. Text comes out once it can no longer turn out to be half a
    character or the beginning of a stop string. `matched` is the stop string that ended the text,
    None before.
    """

    def __init__(self, stops: tuple[str, ...] = (), *, include_stop: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._include_stop = include_stop
        self._held = ""
        self.matched: str | None = None

    def push(self, piece: bytes) -> str:
        """Takes the next token's bytes and returns the text that became certain."""
        return self._advance(self._decoder.decode(piece))

    def flush(self) -> str:
        """Ends the text: returns what was held back, half a character as U+FFFD."""
        certain = self._advance(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return certain + held

    def _advance(self, text: str) -> str:
        if not self._stops:
            return text
        if self.matched is not None:
            return ""
        self._held += text
        if (found := _first(self._held, self._stops)) is not None:
            return self._end(*found)
        return self._release(len(self._held) - _doubtful(self._held, self._stops))

    def _end(self, start: int, stop: str) -> str:
        self.matched = stop
        certain = self._held[: start + len(stop) if self._include_stop else start]
        self._held = ""
        return certain

    def _release(self, length: int) -> str:
        certain, self._held = self._held[:length], self._held[length:]
        return certain


def _first(text: str, stops: tuple[str, ...]) -> tuple[int, str] | None:
    """Where the stop string that is complete first begins, and which it is; the longest of those
    that end there. So it does not matter how the text falls on tokens."""
    found = [(start, stop) for stop in stops if (start := text.find(stop)) >= 0]
    return min(found, key=lambda match: (match[0] + len(match[1]), match[0]), default=None)


def _doubtful(text: str, stops: tuple[str, ...]) -> int:
    """How many last characters could still become a stop string."""
    longest = min(len(text), max(len(stop) for stop in stops) - 1)
    return next(
        (
            length
            for length in range(longest, 0, -1)
            if any(stop.startswith(text[-length:]) for stop in stops)
        ),
        0,
    )
