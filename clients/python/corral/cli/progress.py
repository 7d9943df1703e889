"""Long work as bars."""

from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from corral.cli.output import harmless, stderr
from corral.v1.model_manager_pb2 import LoadProgress, LoadStage, PullProgress

STAGES = {
    LoadStage.LOAD_STAGE_DOWNLOADING: "downloading",
    LoadStage.LOAD_STAGE_PROBING: "checking the file",
    LoadStage.LOAD_STAGE_LOADING: "reading the weights",
    LoadStage.LOAD_STAGE_WARMING: "warming up",
}


class Bars:
    """Bars on stderr, while the `with` block lasts; nothing where stderr is no terminal."""

    def __init__(self, *columns: ProgressColumn) -> None:
        console = stderr()
        self._bars = Progress(
            TextColumn("{task.description:20}", markup=False),
            BarColumn(),
            *columns,
            console=console,
            disable=not console.is_terminal,
        )

    def _complete(self) -> None:
        for task in self._bars.tasks:
            self._bars.update(task.id, completed=task.total)

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


class LoadBars(Bars):
    """The load of a model, a bar per stage."""

    def __init__(self) -> None:
        super().__init__(TaskProgressColumn(), TimeElapsedColumn())
        self._stages: dict[str, TaskID] = {}

    def show(self, progress: LoadProgress) -> None:
        """Moves the stage's bar; a new stage completes those before it."""
        words = STAGES.get(progress.stage, "working")
        if words not in self._stages:
            self._complete()
            self._stages[words] = self._bars.add_task(words, total=1.0)
        self._bars.update(self._stages[words], completed=progress.fraction)


class PullBars(Bars):
    """A download, one bar for all its files, with its speed."""

    def __init__(self) -> None:
        super().__init__(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._download: TaskID | None = None

    def show(self, progress: PullProgress) -> None:
        """Moves the bar."""
        if self._download is None:
            self._download = self._bars.add_task("", total=None)
        self._bars.update(
            self._download,
            description=harmless(PurePosixPath(progress.file).name),
            completed=progress.done_bytes,
            total=progress.total_bytes or None,
        )
