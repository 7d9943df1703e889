"""A client: how it is built, and how its programs are run."""

import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.conformance.command import Result, run_command

HERE = Path(__file__).parent
BUILD_TIMEOUT_S = 1200.0
EXAMPLE_TIMEOUT_S = 60.0
CONFORMANCE_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """An entry of languages.toml. Commands are run in `folder`; `needs` must be on PATH."""

    name: str
    needs: Sequence[str]
    build: Sequence[Sequence[str]]
    example: Sequence[str]
    conformance: Sequence[str]

    @property
    def folder(self) -> Path:
        return HERE.parent / self.name

    def missing(self) -> list[str]:
        """The programs that it needs and this machine has not."""
        return [program for program in self.needs if shutil.which(program) is None]

    def compile(self) -> str:
        """Builds the client; returns what went wrong, or nothing."""
        for words in self.build:
            result = self._run(words, {}, BUILD_TIMEOUT_S)
            if result.trouble:
                return f"{' '.join(words)}: {result.trouble}"
        return ""

    def run_example(self, name: str, environment: Mapping[str, str]) -> Result:
        return self._run(self.example, environment, EXAMPLE_TIMEOUT_S, name=name)

    def run_conformance(self, environment: Mapping[str, str], *arguments: str) -> Result:
        return self._run([*self.conformance, *arguments], environment, CONFORMANCE_TIMEOUT_S)

    def _run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        timeout_s: float,
        name: str = "",
    ) -> Result:
        filled = [word.format(python=sys.executable, name=name) for word in words]
        try:
            return run_command(
                filled, folder=self.folder, environment=environment, timeout_s=timeout_s
            )
        except OSError as error:
            return Result(127, "", f"{filled[0]}: {error.strerror}")


def read_languages() -> list[Language]:
    """All there are, in the order of the file."""
    entries = tomllib.loads((HERE / "languages.toml").read_text())
    return [Language(name=name, **entry) for name, entry in entries.items()]
