"""Where each key of a TOML text stands. `tomllib` does not say; it must have parsed the text."""

import re
import tomllib
from collections.abc import Iterator, Mapping

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_HEADER = re.compile(rf"(\[\[?)[ \t]*({_KEY.pattern})[ \t]*\]\]?")
_EQUALS = re.compile(r"[ \t]*=")
# What a value is made of. Brackets count; strings and comments may hold anything.
_VALUE = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|.''',
    re.DOTALL,
)

KeyPath = tuple[str | int, ...]


def lines(text: str) -> dict[KeyPath, int]:
    """The first line of every table and key by its path, where array elements are numbers.

    What is inside an inline table or an array is not listed: it begins where its key does.
    """
    found: dict[KeyPath, int] = {}
    for path, offset in _Scanner(text).keys():
        line = text.count("\n", 0, offset) + 1
        for length in range(1, len(path) + 1):
            found.setdefault(path[:length], line)
    return found


def line_of(path: KeyPath, found: Mapping[KeyPath, int]) -> int:
    """The line of the innermost listed table or key around `path`; 1 for none."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


class _Scanner:
    """Goes through a valid TOML text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._elements: dict[KeyPath, int] = {}

    def keys(self) -> Iterator[tuple[KeyPath, int]]:
        """Every table header and every key of a table, with its offset."""
        table: KeyPath = ()
        while self._skip_blank():
            start = self._at
            if header := _HEADER.match(self._text, start):
                self._at = header.end()
                table = self._resolve(_parts(header[2]), is_array=header[1] == "[[")
                yield table, start
            else:
                key = _KEY.match(self._text, start)
                assert key is not None
                self._at = key.end()
                yield table + _parts(key[0]), start
                self._skip_value()

    def _skip_blank(self) -> bool:
        """Whether something is left."""
        blank = _BLANK.match(self._text, self._at)
        assert blank is not None
        self._at = blank.end()
        return self._at < len(self._text)

    def _skip_value(self) -> None:
        equals = _EQUALS.match(self._text, self._at)
        assert equals is not None
        self._at, depth = equals.end(), 0
        for token in _VALUE.finditer(self._text, self._at):
            if depth == 0 and token[0] == "\n":
                return
            depth += (token[0] in "[{") - (token[0] in "]}")
            self._at = token.end()

    def _resolve(self, parts: tuple[str, ...], *, is_array: bool) -> KeyPath:
        """The path of a header: below an array of tables, its last element is meant."""
        path: KeyPath = ()
        for number, part in enumerate(parts, 1):
            path += (part,)
            if is_array and number == len(parts):
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path += (self._elements[path] - 1,)
        return path


def _parts(key: str) -> tuple[str, ...]:
    """A dotted key, taken apart by the one who knows how."""
    table, parts = tomllib.loads(f"{key} = 0"), []
    while isinstance(table, dict):
        [(name, table)] = table.items()
        parts.append(name)
    return tuple(parts)
