"""The Hub cache on disk, in huggingface_hub's own layout, so that its files are everyone's.

models--OWNER--NAME/refs/REVISION              the commit it was when last pulled
models--OWNER--NAME/snapshots/COMMIT/FILE      a link to the blob
models--OWNER--NAME/blobs/ETAG                 content, whole and checked
models--OWNER--NAME/blobs/ETAG.incomplete      what has come of it so far
"""

import os
import uuid
from pathlib import Path

import msgspec

from corral_server.config import HubSource
from corral_server.errors import HubNotFound
from corral_server.hub.catalog import RepoFile, RepoModel, choose, models_among
from corral_server.hub.messages import PulledModel
from corral_server.hub.names import all_files, is_commit


def cache_root(configured: str | None) -> Path:
    """Where the cache is: as configured, or where huggingface_hub's variables put it."""
    env = os.environ
    home = env.get("HF_HOME") or os.path.join(env.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    default = env.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    path = configured or env.get("HF_HUB_CACHE") or default
    return Path(os.path.expandvars(os.path.expanduser(path))).absolute()


class HubCache:
    """Paths below `root`. Names that reach it are checked (`names`), so they stay below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def repo(self, repo: str) -> Path:
        return self.root / f"models--{repo.replace('/', '--')}"

    def blob(self, repo: str, etag: str) -> Path:
        return self.repo(repo) / "blobs" / etag

    def partial(self, repo: str, etag: str) -> Path:
        return self.repo(repo) / "blobs" / f"{etag}.incomplete"

    def lock(self, repo: str, etag: str) -> Path:
        """The lock that huggingface_hub takes for this blob, too."""
        return self.root / ".locks" / self.repo(repo).name / f"{etag}.lock"

    def snapshot(self, repo: str, commit: str) -> Path:
        return self.repo(repo) / "snapshots" / commit

    def find(self, source: HubSource) -> PulledModel | None:
        """The model, if all of it is here. A branch is the commit it was when last pulled."""
        commit = self._commit(source.repo, source.revision)
        if commit is None:
            return None
        snapshot = self.snapshot(source.repo, commit)
        names = _names_in(snapshot, source)
        if not names or not all((snapshot / name).is_file() for name in names):
            return None
        size = sum((snapshot / name).stat().st_size for name in names)
        return PulledModel(str(snapshot / names[0]), size, commit)

    def find_at(self, commit: str, source: HubSource) -> PulledModel | None:
        """The model as it is in `commit`, whatever revision `source` names."""
        return self.find(msgspec.structs.replace(source, revision=commit))

    def keep(self, source: HubSource, commit: str, model: RepoModel) -> PulledModel:
        """Makes the blobs of `model` the files of `commit`, and `commit` the revision's."""
        snapshot = self.snapshot(source.repo, commit)
        for file in model.files:
            _link(snapshot / file.path, self.blob(source.repo, file.etag))
        self.remember(source, commit)
        return PulledModel(str(snapshot / model.name), model.size_bytes, commit)

    def remember(self, source: HubSource, commit: str) -> None:
        """Notes that the revision is `commit`."""
        if not is_commit(source.revision):
            ref = self.repo(source.repo) / "refs" / source.revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            draft = _draft_of(ref)
            draft.write_text(commit)
            draft.replace(ref)

    def _commit(self, repo: str, revision: str) -> str | None:
        if is_commit(revision):
            return revision
        try:
            commit = (self.repo(repo) / "refs" / revision).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return commit if is_commit(commit) else None


def _names_in(snapshot: Path, source: HubSource) -> tuple[str, ...]:
    if source.file:
        return all_files(source.file)
    files = (path for path in snapshot.rglob("*.gguf") if path.is_file())
    models = models_among(
        RepoFile(path.relative_to(snapshot).as_posix(), path.stat().st_size, "") for path in files
    )
    try:
        return tuple(file.path for file in choose(models, source).files)
    except HubNotFound:
        return ()


def _link(path: Path, blob: Path) -> None:
    """Makes `path` a relative link to `blob`; where there are no links, it becomes the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(path)
    try:
        draft.symlink_to(os.path.relpath(blob, path.parent))
    except (OSError, NotImplementedError):
        blob.replace(path)
    else:
        draft.replace(path)


def _draft_of(path: Path) -> Path:
    """A name beside `path` that nobody else uses, to be moved over it in one step."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
