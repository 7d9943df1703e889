"""What running `corral` in a test gives."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """The lines of stdout, each a JSON document."""
        return [json.loads(line) for line in self.out.splitlines()]


Corral: TypeAlias = Callable[..., Result]
