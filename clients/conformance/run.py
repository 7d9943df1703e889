"""`python -m clients.conformance.run`: builds every client, runs its examples and its cases, and
prints what came of it."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from clients.conformance.language import Language, read_languages
from clients.conformance.outcome import (
    EXAMPLES,
    Outcomes,
    Report,
    example_row,
    failed_build,
    judge_example,
    read_cases,
    rows,
)
from clients.conformance.overhead import measure_overhead
from clients.conformance.servers import conformance_servers, example_server

_console = Console()


def main(
    only: Annotated[
        list[str] | None, typer.Argument(metavar="LANGUAGE...", help="Default: all there are.")
    ] = None,
    require_all: Annotated[
        bool, typer.Option(help="Fail where the tools of a language are missing.")
    ] = False,
    overhead: Annotated[
        bool, typer.Option(help="Measure what the wrappers cost instead; of all, write it down.")
    ] = False,
) -> None:
    """Exit status 0 if everything that was run went as it must."""
    languages = _chosen(only or [])
    if overhead:
        present = [language for language in languages if not language.missing()]
        went_well = measure_overhead(present, _console, write=not only)
        raise typer.Exit(0 if went_well else 1)
    reports = [_report(language) for language in languages]
    _console.print(_table(reports))
    _tell_failures(reports)
    failed = any(report.failed or (require_all and report.skipped) for report in reports)
    raise typer.Exit(1 if failed else 0)


def _chosen(names: Sequence[str]) -> list[Language]:
    languages = read_languages()
    known = [language.name for language in languages]
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(known)}")
    return [language for language in languages if not names or language.name in names]


def _report(language: Language) -> Report:
    """Everything about one client. Its servers are its own: nothing it leaves meets the next."""
    if missing := language.missing():
        why = f"{', '.join(missing)} not found"
        _console.print(f"[yellow]{language.name}: skipped, {why}[/]")
        return Report(language.name, skipped=why)
    _console.print(f"{language.name}: building")
    if trouble := language.compile():
        return Report(language.name, failed_build(trouble))
    _console.print(f"{language.name}: running")
    return Report(language.name, {**_run_examples(language), **_run_cases(language)})


def _run_examples(language: Language) -> Outcomes:
    with example_server() as environment:
        return {
            example_row(name): judge_example(name, language.run_example(name, environment))
            for name in EXAMPLES
        }


def _run_cases(language: Language) -> Outcomes:
    with (
        tempfile.TemporaryDirectory() as directory,
        conformance_servers(Path(directory)) as environment,
    ):
        path = Path(directory, "report.jsonl")
        result = language.run_conformance({**environment, "CORRAL_REPORT": str(path)})
        return read_cases(path, result)


def _table(reports: Iterable[Report]) -> Table:
    table = Table(Column(no_wrap=True), *(report.language for report in reports), box=SIMPLE_HEAD)
    for row in rows():
        table.add_row(row, *(_cell(report, row) for report in reports))
    return table


def _cell(report: Report, row: str) -> str:
    if report.skipped:
        return "[yellow]skipped[/]"
    return "[green]ok[/]" if report.outcome(row).ok else "[red]failed[/]"


def _tell_failures(reports: Iterable[Report]) -> None:
    for report in reports:
        if report.skipped:
            _console.print(f"[yellow]{report.language} was skipped: {report.skipped}[/]")
        told = set()
        for row in report.failed:
            detail = report.outcome(row).detail
            if detail not in told:
                _console.print(f"[red]{report.language}, {row}:[/] {escape(detail)}")
            told.add(detail)


if __name__ == "__main__":
    typer.run(main)
