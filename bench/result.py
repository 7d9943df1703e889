"""One measured number, and the table of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """`goal` and `holds` are left out where nothing was promised."""

    what: str
    measured: str
    goal: str = ""
    holds: bool | None = None


def print_table(results: Iterable[Result]) -> bool:
    """Prints `results`; whether all that was promised holds."""
    results = list(results)
    table = Table("what", "measured", "promised", "holds")
    for result in results:
        holds = "" if result.holds is None else "yes" if result.holds else "NO"
        table.add_row(result.what, result.measured, result.goal, holds)
    Console().print(table)
    return all(result.holds is not False for result in results)
