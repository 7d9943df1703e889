"""libllama itself: start-up, its version, and its log.

All of llama.cpp is reached through llama-cpp-python's table of the C API. Its structs move between
releases and would be misread silently, so exactly one release is accepted.
"""

import ctypes
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from llama_cpp import llama_cpp as c

from corral_server.llama import PACKAGE_VERSION

SUPPORTED_VERSION = "0.3.36"

_log = logging.getLogger("corral.llama")
_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5
_recent_errors: deque[str] = deque(maxlen=8)
_level = logging.DEBUG
_listeners: list[Callable[[str], None]] = []


@c.llama_log_callback  # type: ignore[untyped-decorator]  # a ctypes callback type
def _on_log(level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
    """Called by llama.cpp for every line of every level, so the common ones leave at once."""
    global _level
    if level != _CONTINUED:
        _level = _LEVELS.get(level, logging.DEBUG)
    for listener in _listeners:
        listener(text.decode("utf-8", "replace").rstrip())
    if _level < logging.WARNING:
        return
    line = text.decode("utf-8", "replace").strip()
    if line and _level >= logging.ERROR:
        _recent_errors.append(line)
    if line.strip("."):
        _log.log(_level, "%s", line)


def initialize() -> None:
    """Starts llama.cpp's backends and takes over its log. Once per process."""
    if PACKAGE_VERSION != SUPPORTED_VERSION:
        raise RuntimeError(
            f"llama-cpp-python {PACKAGE_VERSION or 'of no version'} is installed,"
            f" {SUPPORTED_VERSION} is needed"
        )
    c.llama_log_set(_on_log, ctypes.c_void_p(0))
    c.llama_backend_init()


def address_of_rows(function: str) -> Callable[[int], int]:
    """One of llama.cpp's functions from a context to floats, which says where they are: a pointer
    object would only be taken apart again, at every step."""
    found = c._lib[function]
    found.argtypes, found.restype = [ctypes.c_void_p], ctypes.c_void_p
    return cast(Callable[[int], int], found)


def take_errors() -> list[str]:
    """The error lines llama.cpp has logged since the last call, oldest first."""
    errors = list(_recent_errors)
    _recent_errors.clear()
    return errors


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Calls `listener`, which must not raise, with every line llama.cpp logs in this block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def overhear() -> Iterator[list[str]]:
    """Collects every line llama.cpp logs in this block, whatever its level."""
    lines: list[str] = []
    with listening(lines.append):
        yield lines


def quantization_name(file_type: int | None) -> str:
    """What GGUF's general.file_type means, in the names people use: 7 is Q8_0."""
    return _QUANTIZATIONS.get(file_type, "") if file_type is not None else ""


_QUANTIZATIONS = {
    value: name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
    for name, value in vars(c).items()
    if name.startswith("LLAMA_FTYPE_")
}
