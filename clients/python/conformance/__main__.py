"""`python -m conformance [overhead]`: performs the cases, or measures what the client costs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from conformance import failures, inference, meetings
from conformance.case import Case
from conformance.overhead import measure


def main() -> None:
    """Writes its lines to CORRAL_REPORT, else to standard output."""
    path = os.environ.get("CORRAL_REPORT")
    with Path(path).open("w") if path else nullcontext(sys.stdout) as report:
        for line in _lines(overhead=sys.argv[1:] == ["overhead"]):
            report.write(json.dumps(line, ensure_ascii=False) + "\n")
            report.flush()


def _lines(*, overhead: bool) -> Iterator[Mapping[str, object]]:
    if overhead:
        yield measure()
    else:
        for name, case in {**inference.CASES, **failures.CASES, **meetings.CASES}.items():
            yield perform(name, case)


def perform(name: str, case: Case) -> dict[str, object]:
    """The line of one case. Whatever goes wrong in it must not stop the others."""
    try:
        return {"case": name, "ok": True, "detail": case()}
    except Exception as error:
        return {"case": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}


main()
