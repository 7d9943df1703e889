"""What commands print: results on stdout, everything about them on stderr."""

import sys
from collections.abc import Iterable

import typer
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from corral.words import word

# Model text can hold anything: on a terminal, control characters could move the cursor or worse.
CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def stdout() -> Console:
    """The console for results. Into a pipe, lines are not cut or wrapped."""
    return _console(width=None if sys.stdout.isatty() else 1000)


def stderr() -> Console:
    """The console for progress, notes and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool = False, width: int | None = None) -> Console:
    # What is printed is not ours alone: nothing in it may be taken for markup.
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def write(console: Console, text: str, style: str = "") -> None:
    """Writes model text at once: unchanged into a pipe, harmless and in `style` on a terminal."""
    if console.is_terminal:
        console.print(Text(harmless(text), style), end="", soft_wrap=True)
    else:
        console.file.write(text)
    console.file.flush()


def harmless(text: str) -> str:
    """`text` without characters that steer a terminal."""
    return text.translate(CONTROLS)


def print_json(message: Message) -> None:
    """One line of JSON, with the contract's field names and every field that is not absent."""
    typer.echo(
        MessageToJson(
            message,
            indent=None,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
            ensure_ascii=False,
        )
    )


def size(num_bytes: float) -> str:
    """A number of bytes for people; empty for 0, which means not known."""
    return decimal(int(num_bytes)) if num_bytes else ""


def span(seconds: float) -> str:
    """A length of time for people, in its largest whole unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def phrase(kind: EnumTypeWrapper, value: int) -> str:
    """An enum's value for people; empty for 0, which means not known."""
    return word(kind, value).replace("_", " ") if value else ""


def table(*columns: str, numbers: Iterable[str] = (), wrapped: Iterable[str] = ()) -> Table:
    """An empty table without lines. The columns named in `numbers` are set to the right; where
    the terminal is narrow, those named in `wrapped` are wrapped first."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        rows.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=name not in wrapped,
            overflow="fold" if name in wrapped else "ellipsis",
        )
    return rows
