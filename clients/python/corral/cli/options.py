"""Options that several commands share. Their ranges are the server's to check; here a number
only has to fit the message."""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeAlias

import typer

from corral.words import PriorityWord

INT32 = range(-(2**31), 2**31)
UINT32 = range(2**32)
UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

Command: TypeAlias = Callable[..., None]


def number(help: str, *names: str, panel: str | None = None) -> Any:
    """An option that takes a number."""
    return typer.Option(*names, metavar="N", help=help, rich_help_panel=panel)


def count(help: str, *names: str, fits: range = INT32, panel: str | None = None) -> Any:
    """An option that takes a whole number."""
    return typer.Option(
        *names, metavar="N", callback=within(fits), help=help, rich_help_panel=panel
    )


def within(fits: range = INT32) -> Callable[[Any], Any]:
    """Refuses a whole number, or a list of them, where the message has no room for it."""

    def check(value: int | list[int] | None) -> int | list[int] | None:
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each not in fits:
                raise typer.BadParameter(f"{each} is not in {fits[0]} to {fits[-1]}")
        return value

    return check


def checked(check: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """Refuses a text for which `check` raises ValueError."""

    def callback(text: str | None) -> str | None:
        if text is not None:
            try:
                check(text)
            except ValueError as err:
                raise typer.BadParameter(str(err)) from err
        return text

    return callback


def seconds(text: str) -> float:
    """The seconds that `text` says: 90, 50ms, 90s, 1.5m, 2h or 7d. Raises ValueError for others."""
    value = text.rstrip("smhd")
    unit = text[len(value) :]
    if unit not in UNITS or not value.replace(".", "", 1).isdecimal():
        raise ValueError(f"{text!r} is no length of time; write 90s, 10m, 2h or 7d")
    return float(value) * UNITS[unit]


Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The server to call. Default: CORRAL_ADDRESS, else 127.0.0.1:50051.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON with the contract's field names, one per line.")
]
ModelId = Annotated[
    str | None, typer.Option("--model", "-m", metavar="ID", help="Default: the default model.")
]
MaxTokens = Annotated[
    int | None, count("Tokens at most. Default: what fits.", "--max-tokens", "-n")
]
Stop = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Stop before this text; may be repeated."),
]


CacheScope = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Share what is computed with requests of this scope only."),
]
RequestPriority = Annotated[
    PriorityWord | None, typer.Option(help="Which waiting requests go first. Default: normal.")
]


def sampling_flags(panel: str) -> Mapping[str, object]:
    """A flag for each of SamplingOptions but logit_bias."""
    return {
        "temperature": Annotated[
            float | None, number("0 takes the likeliest always.", panel=panel)
        ],
        "top_k": Annotated[int | None, count("Keep the k likeliest; 0 keeps all.", panel=panel)],
        "top_p": Annotated[float | None, number("Keep the likeliest that sum to p.", panel=panel)],
        "min_p": Annotated[
            float | None, number("Drop those below this part of the likeliest.", panel=panel)
        ],
        "repeat_penalty": Annotated[
            float | None, number("Divide scores of tokens seen; 1 is off.", panel=panel)
        ],
        "repeat_last_n": Annotated[
            int | None, count("How many last tokens the penalties see.", panel=panel)
        ],
        "frequency_penalty": Annotated[
            float | None, number("Subtract for each time seen.", panel=panel)
        ],
        "presence_penalty": Annotated[float | None, number("Subtract if seen.", panel=panel)],
        "seed": Annotated[
            int | None, count("Makes the random choice repeatable.", fits=UINT32, panel=panel)
        ],
    }


SAMPLING = sampling_flags("Sampling")


def takes(parameter: str, flags: Mapping[str, object]) -> Callable[[Command], Command]:
    """Gives a command a flag for each of `flags`; it gets their values as the dict `parameter`."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in flags}
            command(**{parameter: values}, **arguments)

        # typer reads the flags off the signature.
        own = [p for p in inspect.signature(command).parameters.values() if p.name != parameter]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
            for name, annotation in flags.items()
        ]
        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
        return run

    return decorate


def text_or_stdin(text: str | None) -> str:
    """The text, or what is piped in without its last line end. Neither is a mistake in usage."""
    if text is not None:
        return text
    if sys.stdin.isatty():
        raise typer.BadParameter("write a text, or pipe one in")
    return sys.stdin.read().removesuffix("\n")
