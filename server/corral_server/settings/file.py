"""A configuration file as nodes."""

import re
import tomllib
from pathlib import Path

from corral_server.errors import ConfigInvalid
from corral_server.settings.lines import KeyPath, line_of, lines
from corral_server.settings.node import Node, Origin, grow

_KEY = re.compile(r"""\s*(?:\[+\s*)?([\w."'-]+)\s*[=\]]""")
_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


def read_file(path: Path) -> Node:
    """Raises ConfigInvalid if there is no such file, or it is no TOML."""
    text = _text(path).replace("\r\n", "\n") + "\n"
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(_with_place(path, str(error), text)) from error
    except RecursionError as error:
        raise _invalid(f"{path}: is nested too deeply") from error
    found = lines(text)
    folder = path.absolute().parent

    def origin_of(key: KeyPath) -> Origin:
        return Origin(str(path), folder, line_of(key, found))

    return grow(raw, origin_of)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _invalid(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{path}:{line}: is not UTF-8") from error


def _with_place(path: Path, message: str, text: str) -> str:
    """What `tomllib` says, with the place where an editor can jump to it, and the key there."""
    match = _PLACE.fullmatch(message)
    if match is None:
        # It speaks of the end of the document: something was begun and not ended.
        last = text.rstrip().count("\n") + 1
        return f"{path}:{last}: {message}"
    key = _KEY.match(text.split("\n")[int(match[2]) - 1])
    return f"{path}:{match[2]}:{match[3]}: {f'{key[1]}: ' if key else ''}{match[1]}"


def _invalid(problem: str) -> ConfigInvalid:
    return ConfigInvalid(problem, count=1)
