"""The Hugging Face Hub as the server uses it: search, list, download.

The event loop never waits for a disk or a library: all of it happens in child processes, one for
each job (`hub_process`), of which a few run at a time. Downloads belong to the Hub, not to callers.
"""

import asyncio
import logging
import os
from collections.abc import Callable

from corral_server.config import HubConfig, HubSource
from corral_server.errors import (
    CorralError,
    HubNotFound,
    HubUnavailable,
    InternalError,
    QueueFull,
    ServerDraining,
)
from corral_server.hub.cache import HubCache, cache_root
from corral_server.hub.messages import (
    Answer,
    Files,
    HubFile,
    HubRepo,
    Job,
    ListFiles,
    PulledModel,
    PullModel,
    PullProgress,
    Repos,
    Retries,
    Search,
)
from corral_server.hub.names import check_repo, check_source, is_commit
from corral_server.models.hub_process import HUB_COMMAND, run
from corral_server.models.hub_pull import HubPull

__all__ = ["Hub", "HubFile", "HubPull", "HubRepo", "PullProgress", "PulledModel"]

_log = logging.getLogger("corral.hub")
_DEFAULT_ENDPOINT = "https://huggingface.co"
_RETRIES = Retries()
_MAX_LOOKUPS = 4
_MAX_DOWNLOADS = 4
_MAX_PULLS = 64
_QUEUE_FULL_S = 30.0
# A connection that is silent is given up earlier than the whole job, so that another can be tried.
_CONNECTIONS_PER_STALL = 3


class Hub:
    """One Hub, one cache, one token. `close` ends what runs."""

    def __init__(
        self,
        config: HubConfig,
        command: tuple[str, ...] = HUB_COMMAND,
        retries: Retries = _RETRIES,
    ) -> None:
        endpoint = config.endpoint or os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT
        self._config = config
        self._command = command
        self._retries = retries
        self._endpoint = endpoint.rstrip("/")
        self._is_offline = config.offline or _is_told_offline()
        self._cache = HubCache(cache_root(config.cache_dir))
        self._pulls: dict[HubSource, HubPull] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lookups = asyncio.Semaphore(_MAX_LOOKUPS)
        self._downloads = asyncio.Semaphore(_MAX_DOWNLOADS)
        self._is_closed = False

    async def search(self, query: str, limit: int) -> list[HubRepo]:
        """Repositories with GGUF files, most downloaded first."""
        answer = await self._look_up(Search(query, limit))
        assert isinstance(answer, Repos)
        return list(answer.repos)

    async def list_files(self, repo: str, revision: str = "main") -> list[HubFile]:
        """The models of `repo` in order of size; a split model is one."""
        check_repo(repo, revision)
        answer = await self._look_up(ListFiles(repo, revision))
        assert isinstance(answer, Files)
        return list(answer.files)

    def pull(self, source: HubSource) -> HubPull:
        """The download of `source`, started or joined. It goes on when callers leave.

        Raises InvalidFields for names that make no sense, and QueueFull for one too many.
        """
        check_source(source)
        if self._is_closed:
            raise _stopping()
        if (pull := self._pulls.get(source)) is None:
            if len(self._pulls) >= _MAX_PULLS:
                raise QueueFull(
                    f"{_MAX_PULLS} downloads run or wait already", retry_after_s=_QUEUE_FULL_S
                )
            pull = self._pulls[source] = HubPull(source)
            task = asyncio.create_task(self._run(pull))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return pull

    def cached(self, source: HubSource) -> PulledModel | None:
        """The model if all of it is in the cache; asks nobody. A branch is what it was when last
        pulled. Raises InvalidFields."""
        check_source(source)
        return self._cache.find(source)

    async def close(self) -> None:
        """Ends all downloads; what they have is kept for the next time."""
        self._is_closed = True
        pulls = list(self._pulls.values())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pull in pulls:
            pull.end(_stopping())

    async def _run(self, pull: HubPull) -> None:
        """Who is told of the end and asks again, shall not get the same pull."""
        try:
            outcome = await self._outcome_of(pull)
        finally:
            del self._pulls[pull.source]
        pull.end(outcome)

    async def _outcome_of(self, pull: HubPull) -> PulledModel | CorralError:
        try:
            return await self._model_of(pull)
        except CorralError as error:
            return error
        except Exception:
            _log.exception("the download of %s failed", pull.source.repo)
            return InternalError("the download failed; the server's log says why")

    async def _model_of(self, pull: HubPull) -> PulledModel:
        source = pull.source
        if source.offline or self._is_offline:
            return self._from_cache(source)
        if is_commit(source.revision) and not source.force:
            if (found := self._cache.find(source)) is not None:
                return found
        async with self._downloads:
            try:
                return await self._download(pull)
            except HubUnavailable as error:
                # A Hub that is down shall not keep a server from starting.
                found = None if pull.progress or source.force else self._cache.find(source)
                if found is None:
                    raise
                _log.warning("%s is taken from the cache: %s", source.repo, error)
                return found

    def _from_cache(self, source: HubSource) -> PulledModel:
        found = None if source.force else self._cache.find(source)
        if found is None:
            what = source.file or source.quantization
            raise HubNotFound(
                f"{what} of {source.repo} at {source.revision} is not in the cache "
                "and may not be downloaded: offline",
                missing="file",
            )
        return found

    async def _download(self, pull: HubPull) -> PulledModel:
        answer = await self._do(PullModel(pull.source), pull.advance)
        assert isinstance(answer, PulledModel)
        return answer

    async def _look_up(self, task: Search | ListFiles) -> Answer:
        if self._is_offline:
            raise HubUnavailable("this server is offline: the Hub is not asked")
        async with self._lookups:
            return await self._do(task, lambda progress: None)

    async def _do(
        self, task: Search | ListFiles | PullModel, on_progress: Callable[[PullProgress], None]
    ) -> Answer:
        stall_s = self._config.stall_s
        job = Job(
            task=task,
            endpoint=self._endpoint,
            cache_dir=str(self._cache.root),
            token_file=self._config.token_file,
            timeout_s=stall_s / _CONNECTIONS_PER_STALL,
            retries=self._retries,
        )
        return await run(self._command, job, on_progress, stall_s=stall_s)


def _is_told_offline() -> bool:
    """By huggingface_hub's variables."""
    told = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return told.upper() in ("1", "ON", "YES", "TRUE")


def _stopping() -> ServerDraining:
    return ServerDraining("the server is stopping; what has been downloaded is kept")
