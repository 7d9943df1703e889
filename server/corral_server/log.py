"""One form for every line an operator reads. Prompts and answers are never in one."""

import logging
import sys


def set_up(level: str) -> None:
    """Logs of `level` (debug, info, warning, error) and above go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _Formatter(logging.Formatter):
    """Writes control characters as escapes: a name in a request must not forge a line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
