"""What the server and a Hub process say to each other, one JSON message on each line.

Down, on stdin: one Job. Closing stdin ends the process. Up, on stdout: PullProgress, any number of
times, then one answer: Repos, Files, PulledModel or Failed.
"""

from datetime import datetime

import msgspec

from corral_server.config import HubSource
from corral_server.ipc.messages import Failure

MAX_LINE_BYTES = 8 * 1024 * 1024


class HubRepo(msgspec.Struct, frozen=True, kw_only=True):
    """A repository on the Hub. `downloads` counts the last month."""

    repo: str
    downloads: int
    likes: int
    updated_at: datetime | None
    gated: bool
    private: bool
    tags: tuple[str, ...]


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model in a repository: `file` is its first file, `size_bytes` that of all `shards`."""

    file: str
    size_bytes: int
    quantization: str
    shards: int


class PullProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a download is. The bytes are those of all files of the model."""

    file: str
    done_bytes: int
    total_bytes: int


class PulledModel(msgspec.Struct, frozen=True, tag="pulled"):
    """A model in the cache: the path of its first file, the bytes of all, the commit it is of."""

    path: str
    size_bytes: int
    commit: str


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a request that failed is sent again, and after how long.

    The pause doubles each time. A Hub that asks for more than `pause_max_s` is not waited for.
    """

    attempts: int = 4
    pause_s: float = 0.5
    pause_max_s: float = 10.0

    def pause_after(self, failures: int) -> float:
        return min(self.pause_s * 2.0 ** (failures - 1), self.pause_max_s)


class Search(msgspec.Struct, frozen=True, tag="search"):
    """Repositories with GGUF files, most downloaded first. Answered by Repos."""

    query: str
    limit: int


class ListFiles(msgspec.Struct, frozen=True, tag="list"):
    """The models of a repository, in order of size. Answered by Files."""

    repo: str
    revision: str


class PullModel(msgspec.Struct, frozen=True, tag="pull"):
    """Bring this model into the cache. Answered by PulledModel."""

    source: HubSource


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is started for. No token: it comes from the environment or from a file."""

    task: Search | ListFiles | PullModel
    endpoint: str
    cache_dir: str
    token_file: str | None
    timeout_s: float
    retries: Retries


class Repos(msgspec.Struct, frozen=True, tag="repos"):
    repos: tuple[HubRepo, ...]


class Files(msgspec.Struct, frozen=True, tag="files"):
    files: tuple[HubFile, ...]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The job ended with an error."""

    failure: Failure


Answer = Repos | Files | PulledModel
HubReport = PullProgress | Answer | Failed
