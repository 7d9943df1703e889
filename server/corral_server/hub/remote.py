"""What the Hub says about repositories, through huggingface_hub's client."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import HfApi, get_token, hf_hub_url, set_client_factory
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.hf_api import RepoFile as ApiFile

from corral_server.errors import CorralError, HubAccessDenied, HubNotFound, HubUnavailable
from corral_server.hub.catalog import RepoFile
from corral_server.hub.messages import HubRepo, Job
from corral_server.hub.names import is_commit
from corral_server.hub.session import Session

_NEAR = 5


class RemoteHub:
    """The Hub at one endpoint, as seen with one token. `subject` is what is asked about."""

    def __init__(self, job: Job, subject: str) -> None:
        self._job = job
        self._subject = subject
        self._token = _token(job.token_file)
        self._api = HfApi(job.endpoint, token=self._token or False, library_name="corral")
        set_client_factory(lambda: self._session(may_leave=False))

    def search(self, query: str, limit: int) -> tuple[HubRepo, ...]:
        """Repositories with GGUF files, most downloaded first."""
        try:
            with _making_sense():
                found = self._api.list_models(
                    search=query,
                    filter="gguf",
                    sort="downloads",
                    limit=limit,
                    expand=["downloads", "likes", "lastModified", "gated", "private", "tags"],
                )
                return tuple(_repo(info) for info in found)
        except HubNotFound as error:
            raise _no_hub() from error

    def commit(self, repo: str, revision: str) -> str:
        """What `revision` is now. A HubNotFound names what is there instead."""
        if is_commit(revision):
            return revision
        try:
            with _making_sense():
                commit = self._api.model_info(repo, revision=revision, expand=["sha"]).sha
        except HubNotFound as error:
            raise self._with_near_names(error, repo, revision) from error
        if commit is None or not is_commit(commit):
            raise HubUnavailable(f"the Hub names no commit for {repo} at {revision}")
        return commit

    def files(self, repo: str, commit: str) -> list[RepoFile]:
        """All files of `commit`, and what their content must be."""
        try:
            with _making_sense():
                tree = self._api.list_repo_tree(repo, recursive=True, revision=commit)
                return [_file(entry) for entry in tree if isinstance(entry, ApiFile)]
        except HubNotFound as error:
            raise self._with_near_names(error, repo, commit) from error

    def content(self) -> Session:
        """A session for content. Where the Hub keeps files elsewhere, it follows it there."""
        return self._session(may_leave=True)

    def address(self, repo: str, commit: str, path: str) -> str:
        return hf_hub_url(repo, path, revision=commit, endpoint=self._job.endpoint)

    def credentials(self) -> dict[str, str]:
        """The headers that show the token, for the endpoint only; a session sees to that."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _session(self, *, may_leave: bool) -> Session:
        job = self._job
        return Session(
            job.endpoint,
            self._subject,
            timeout_s=job.timeout_s,
            retries=job.retries,
            may_leave=may_leave,
        )

    def _with_near_names(self, error: HubNotFound, repo: str, revision: str) -> HubNotFound:
        """`error`, naming what may have been meant. It asks the Hub; without an answer it is left
        as it is."""
        with suppress(CorralError):
            if error.metadata["missing"] == "revision":
                near, what = self._revisions(repo), f"revision {revision!r} on the Hub; it has "
                return HubNotFound(f"{repo} has no {what}{', '.join(near)}", missing="revision")
            if near := self._repos_like(repo):
                return HubNotFound(f"{error.message}; there is {', '.join(near)}", missing="repo")
        return error

    def _revisions(self, repo: str) -> list[str]:
        with _making_sense():
            refs = self._api.list_repo_refs(repo)
            return [ref.name for ref in (*refs.branches, *refs.tags)]

    def _repos_like(self, repo: str) -> list[str]:
        return [found.repo for found in self.search(repo.rpartition("/")[2], _NEAR)]


@contextmanager
def _making_sense() -> Iterator[None]:
    """Where the Hub's JSON is read: one that is none, or another than expected, is no Hub."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_hub() from error


def _no_hub() -> HubUnavailable:
    return HubUnavailable("what answers is no Hub; is the endpoint's address right?")


def _token(token_file: str | None) -> str | None:
    if token_file is None:
        return get_token()
    try:
        return Path(token_file).expanduser().read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise HubAccessDenied(f"the hub's token_file {token_file} cannot be read") from error


def _repo(info: ModelInfo) -> HubRepo:
    return HubRepo(
        repo=info.id,
        downloads=info.downloads or 0,
        likes=info.likes or 0,
        updated_at=info.last_modified,
        gated=bool(info.gated),
        private=bool(info.private),
        tags=tuple(info.tags or ()),
    )


def _file(entry: ApiFile) -> RepoFile:
    """A large file is known by its SHA-256, one that git holds itself by its git object."""
    if entry.lfs is not None:
        return RepoFile(entry.path, entry.lfs.size, entry.lfs.sha256)
    return RepoFile(entry.path, entry.size, entry.blob_id)
