"""A model's way from the Hub into the cache."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from corral_server.config import HubSource
from corral_server.errors import DiskFull, HubDataCorrupt, InternalError
from corral_server.hub.cache import HubCache
from corral_server.hub.catalog import RepoFile, RepoModel, choose, models_among
from corral_server.hub.download import Download
from corral_server.hub.messages import Job, PulledModel, PullProgress
from corral_server.hub.remote import RemoteHub

Report = Callable[[PullProgress], None]

# The last one is what a file system says whose files may not become that large.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REPORT_S = 0.1
_LOCK_S = 1.0


class Pull:
    """One pull of the model that `source` names."""

    def __init__(self, source: HubSource, job: Job, report: Report) -> None:
        self._source = source
        self._job = job
        self._report = report
        self._cache = HubCache(Path(job.cache_dir))
        self._remote = RemoteHub(job, source.repo)

    def run(self) -> PulledModel:
        """The model in the cache, after a download if need be."""
        source = self._source
        commit = self._remote.commit(source.repo, source.revision)
        if not source.force and (found := self._cache.find_at(commit, source)) is not None:
            with suppress(OSError):  # a cache that may only be read serves, too
                self._cache.remember(source, commit)
            return found
        model = choose(models_among(self._remote.files(source.repo, commit)), source)
        _refuse_empty(model)
        with self._room_for(model):
            self._fetch(model, commit)
            return self._cache.keep(source, commit, model)

    def _fetch(self, model: RepoModel, commit: str) -> None:
        """Makes blobs of the files that are none yet."""
        missing = [file for file in model.files if not self._is_here(file)]
        progress = _Progress(model, missing, self._report)
        for file in missing:
            with self._lock(file, progress):
                # Meanwhile another process may have brought it.
                if not self._is_here(file):
                    self._download(file, commit, progress)
            progress.advance(file, file.size)
        progress.close()

    def _is_here(self, file: RepoFile) -> bool:
        return not self._source.force and self._blob(file).is_file()

    def _download(self, file: RepoFile, commit: str, progress: "_Progress") -> None:
        remote, repo = self._remote, self._source.repo
        partial = self._cache.partial(repo, file.etag)
        with remote.content() as session:
            Download(
                file,
                remote.address(repo, commit, file.path),
                remote.credentials(),
                partial,
                session=session,
                retries=self._job.retries,
            ).run(lambda done: progress.advance(file, done))
        _move(partial, self._blob(file))

    def _blob(self, file: RepoFile) -> Path:
        return self._cache.blob(self._source.repo, file.etag)

    @contextmanager
    def _lock(self, file: RepoFile, progress: "_Progress") -> Iterator[None]:
        """Alone with the blob of `file`, among all who use the cache, as long as they lock."""
        path = self._cache.lock(self._source.repo, file.etag)
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(WeakFileLock(path, timeout=_LOCK_S))
                    break
                except Timeout:
                    progress.repeat()
            yield

    @contextmanager
    def _room_for(self, model: RepoModel) -> Iterator[None]:
        """Refuses what does not fit the disk, at first and when it fills up meanwhile."""
        try:
            self._blob(model.files[0]).parent.mkdir(parents=True, exist_ok=True)
            self._check_room(model)
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(model) from error
            why = os.strerror(error.errno) if error.errno else type(error).__name__
            raise InternalError(f"the Hub cache {self._cache.root} fails: {why}") from error

    def _check_room(self, model: RepoModel) -> None:
        if self._required(model) > self._available():
            raise self._full(model)

    def _required(self, model: RepoModel) -> int:
        """The bytes still to come."""
        return sum(self._missing_bytes(file) for file in model.files if not self._is_here(file))

    def _missing_bytes(self, file: RepoFile) -> int:
        partial = self._cache.partial(self._source.repo, file.etag)
        return max(file.size - (partial.stat().st_size if partial.exists() else 0), 0)

    def _available(self) -> int:
        return shutil.disk_usage(self._cache.root).free

    def _full(self, model: RepoModel) -> DiskFull:
        required, available = self._required(model), self._available()
        return DiskFull(
            f"{model.name} needs {required} more bytes in {self._cache.root}, "
            f"where {available} are free",
            required=required,
            available=available,
        )


class _Progress:
    """How much of a model is there, told often enough and not more often."""

    def __init__(self, model: RepoModel, missing: list[RepoFile], report: Report) -> None:
        self._report = report
        self._total = model.size_bytes
        self._there = {file.path: 0 if file in missing else file.size for file in model.files}
        self._step = max(self._total // 200, 1)
        self._last = PullProgress(model.name, -self._step, self._total)
        self._told_at = 0.0
        self._tell(PullProgress(model.name, self._done, self._total))

    @property
    def _done(self) -> int:
        return sum(self._there.values())

    def advance(self, file: RepoFile, there: int) -> None:
        """`there` bytes of `file` are on disk. Tells if it is time or much has come."""
        self._there[file.path] = there
        now = PullProgress(file.path, self._done, self._total)
        is_much = now.done_bytes - self._last.done_bytes >= self._step
        if is_much or time.monotonic() - self._told_at >= _REPORT_S:
            self._tell(now)

    def repeat(self) -> None:
        """A sign of life while another process has the file."""
        self._tell(self._last)

    def close(self) -> None:
        """Tells where it has ended."""
        self._tell(PullProgress(self._last.file, self._done, self._total))

    def _tell(self, progress: PullProgress) -> None:
        self._last = progress
        self._told_at = time.monotonic()
        self._report(progress)


def _refuse_empty(model: RepoModel) -> None:
    empty = [file.path for file in model.files if file.size == 0]
    if empty:
        raise HubDataCorrupt(f"{', '.join(empty)} is empty on the Hub")


def _move(partial: Path, blob: Path) -> None:
    """In one step, and for good."""
    partial.replace(blob)
    directory = os.open(blob.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
