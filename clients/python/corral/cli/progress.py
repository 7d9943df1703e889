"""The load of a model as a bar per stage."""

from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from corral.cli.output import stderr
from corral.v1.model_manager_pb2 import LoadProgress, LoadStage

STAGES = {
    LoadStage.LOAD_STAGE_PROBING: "checking the file",
    LoadStage.LOAD_STAGE_LOADING: "reading the weights",
    LoadStage.LOAD_STAGE_WARMING: "warming up",
}


class LoadProgressBars:
    """Bars on stderr, while the `with` block lasts; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._stages: dict[str, TaskID] = {}
        console = stderr()
        self._bars = Progress(
            TextColumn("{task.description:20}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def show(self, progress: LoadProgress) -> None:
        """Moves the stage's bar; a new stage completes those before it."""
        words = STAGES.get(progress.stage, "working")
        if words not in self._stages:
            self._complete()
            self._stages[words] = self._bars.add_task(words, total=1.0)
        self._bars.update(self._stages[words], completed=progress.fraction)

    def _complete(self) -> None:
        for stage in self._stages.values():
            self._bars.update(stage, completed=1.0)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            self._complete()
        self._bars.stop()
