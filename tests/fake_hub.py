"""A Hugging Face Hub on loopback: the endpoints that a download needs, and faults on demand.

Two servers on two ports are two hosts: the endpoint, and the CDN that large files are redirected to
while `uses_cdn`. Every request is recorded. Nothing sleeps: an answer that stalls is held until
`release` or `close`.

    /api/models?search=&filter=&sort=&limit=      /api/models/REPO/revision/REV
    /api/models/REPO/tree/REV?recursive=          /api/models/REPO/refs
    /REPO/resolve/REV/FILE   HEAD, and GET with Range; the CDN: /blobs/SHA256
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_HELD_S = 30.0
_PIECE_BYTES = 16 * 1024
# The real Hub keeps files in LFS by .gitattributes; here a GGUF file is one from this size on.
LFS_BYTES = 1024


@dataclass(frozen=True)
class Fault:
    """What goes wrong with an answer. Counts of bytes are of the content that is sent."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"{}"
    cut_at: int | None = None  # closes the connection after so many bytes
    hold_at: int | None = None  # stalls after so many bytes, until release
    announce: int = 0  # added to the Content-Length
    more: bytes = b""  # sent after the content
    flip: bool = False  # one byte is wrong
    ignores_range: bool = False
    chunked: bool = False  # no Content-Length
    redirect: str = ""


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    port: int

    @property
    def is_for_content(self) -> bool:
        return self.method == "GET" and ("/resolve/" in self.path or "/blobs/" in self.path)


@dataclass
class Repo:
    """A repository: its commits, what its branches and tags are, and what search tells."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    downloads: int = 0
    gated: bool = False
    token: str = ""  # who does not show it may not see this


@dataclass
class _Planned:
    fault: Fault
    pattern: str
    times: int


class FakeHub:
    """The Hub. Made by `running`."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.uses_cdn = True
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._servers = [_Server(self), _Server(self)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self._servers[0].server_port

    @property
    def cdn_url(self) -> str:
        return f"http://127.0.0.1:{self.cdn_port}"

    @property
    def cdn_port(self) -> int:
        return self._servers[1].server_port

    @property
    def content_requests(self) -> list[Request]:
        """The requests for content at the host that sends it."""
        return [
            request
            for request in self.requests
            if request.is_for_content and (not self.uses_cdn or request.port == self.cdn_port)
        ]

    @property
    def ranges(self) -> list[str]:
        """What Range each of them asks for."""
        return [request.headers.get("range", "") for request in self.content_requests]

    def add(self, name: str, files: dict[str, bytes], revision: str = "main") -> str:
        """Commits `files` to `revision` of a repository; the commit."""
        repo = self.repos.setdefault(name, Repo())
        story = repr((name, len(repo.commits), sorted(files), revision))
        commit = hashlib.sha1(story.encode()).hexdigest()
        repo.commits[commit] = files
        repo.refs[revision] = commit
        return commit

    def misbehave(self, pattern: str, fault: Fault, times: int = 1) -> None:
        """The next `times` requests whose path matches `pattern` go wrong like that."""
        with self._lock:
            self._planned.append(_Planned(fault, pattern, times))

    def behave(self) -> None:
        """Forgets all faults, and what was requested."""
        with self._lock:
            self._planned.clear()
            self.requests.clear()

    def release(self) -> None:
        """Lets go on what is held."""
        self._released.set()

    def fault_for(self, path: str) -> Fault:
        with self._lock:
            for planned in self._planned:
                if planned.times and re.search(planned.pattern, path):
                    planned.times -= 1
                    return planned.fault
        return Fault()

    def wait_for_release(self) -> None:
        self._released.wait(_HELD_S)

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.release()
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def running() -> Iterator[FakeHub]:
    """A Hub that listens, with nothing in it."""
    hub = FakeHub()
    hub.start()
    try:
        yield hub
    finally:
        hub.close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(content: bytes) -> bool:
    return len(content) >= LFS_BYTES


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed breaks its connection: nothing to tell."""


class _Missing(Exception):
    """What was asked for is not there; its argument is the Hub's X-Error-Code."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Not told: `requests` has it."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    @property
    def _hub(self) -> FakeHub:
        return self.server.hub

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        port = self.server.server_port
        self._hub.requests.append(Request(self.command, self.path, headers, port))
        fault = self._hub.fault_for(self.path)
        try:
            if fault.status is not None:
                self._send(fault.status, dict(fault.headers), fault.body, fault)
            elif fault.redirect:
                self._send(302, {"Location": fault.redirect}, b"", fault)
            else:
                self._route(fault)
        except _Missing as missing:
            code = str(missing)
            status = 401 if code == "GatedRepo" else 404
            self._send(status, {"X-Error-Code": code}, b"{}", fault)

    def _route(self, fault: Fault) -> None:
        address = urlsplit(self.path)
        path, query = address.path, parse_qs(address.query)
        if path == "/api/models":
            self._send_json(self._search(query), fault)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/refs", path):
            self._send_json(_refs(self._repo(found[1])), fault)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            commit, _ = self._commit(found[1], unquote(found[2]))
            self._send_json({"id": found[1], "sha": commit}, fault)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            _, files = self._commit(found[1], unquote(found[2]))
            self._send_json([_entry(name, files[name]) for name in sorted(files)], fault)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], unquote(found[2]), unquote(found[3]), fault)
        elif found := re.fullmatch(r"/blobs/([0-9a-f]{64})", path):
            self._send_content(self._blob(found[1]), {"ETag": '"of-the-cdn"'}, fault)
        else:
            raise _Missing("EntryNotFound")

    def _search(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        wanted = query.get("search", [""])[0].lower()
        limit = int(query.get("limit", ["1000"])[0])
        found = [name for name in self._hub.repos if wanted in name.lower()]
        found.sort(key=lambda name: -self._hub.repos[name].downloads)
        return [_told_of(name, self._hub.repos[name]) for name in found[:limit]]

    def _repo(self, name: str) -> Repo:
        repo = self._hub.repos.get(name)
        if repo is None:
            raise _Missing("RepoNotFound")
        return repo

    def _commit(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        repo = self._repo(name)
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise _Missing("RevisionNotFound")
        return commit, repo.commits[commit]

    def _resolve(self, name: str, revision: str, file: str, fault: Fault) -> None:
        commit, files = self._commit(name, revision)
        repo = self._repo(name)
        if repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}":
            raise _Missing("GatedRepo")
        if file not in files:
            raise _Missing("EntryNotFound")
        content = files[file]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not is_lfs(content):
            self._send_content(content, headers | {"ETag": f'"{git_sha1(content)}"'}, fault)
            return
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{sha256(content)}"'}
        if self._hub.uses_cdn:
            target = f"{self._hub.cdn_url}/blobs/{sha256(content)}?Signature=secret"
            self._send(302, headers | {"Location": target}, b"", fault)
        else:
            self._send_content(content, headers | {"ETag": f'"{sha256(content)}"'}, fault)

    def _blob(self, etag: str) -> bytes:
        for repo in self._hub.repos.values():
            for files in repo.commits.values():
                for content in files.values():
                    if sha256(content) == etag:
                        return content
        raise _Missing("EntryNotFound")

    def _send_content(self, content: bytes, headers: dict[str, str], fault: Fault) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        body = _flipped(content) if fault.flip else content
        if not asked or fault.ignores_range:
            self._send(200, headers, body, fault)
            return
        start, size = int(asked[1]), len(content)
        if start >= size:
            self._send(416, headers | {"Content-Range": f"bytes */{size}"}, b"", fault)
            return
        told = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        self._send(206, headers | told, body[start:], fault)

    def _send_json(self, answer: Any, fault: Fault) -> None:
        headers = {"Content-Type": "application/json"}
        self._send(200, headers, json.dumps(answer).encode(), fault)

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        body += fault.more
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault.chunked:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body) + fault.announce))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, fault)

    def _send_body(self, body: bytes, fault: Fault) -> None:
        stops = sorted({at for at in (fault.cut_at, fault.hold_at) if at is not None})
        sent = 0
        for stop in (*stops, len(body)):
            for start in range(sent, stop, _PIECE_BYTES):
                self.wfile.write(body[start : min(start + _PIECE_BYTES, stop)])
            sent = stop
            if stop == fault.hold_at:
                self._hub.wait_for_release()
            if stop == fault.cut_at:
                break
        if fault.cut_at is not None or fault.announce:
            self.close_connection = True


def _flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
    if is_lfs(content):
        lfs = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
        entry |= {"lfs": lfs, "oid": git_sha1(b"pointer")}
    return entry


def _refs(repo: Repo) -> dict[str, Any]:
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
        for name, commit in repo.refs.items()
    ]
    return {"branches": branches, "converts": [], "tags": []}


def _told_of(name: str, repo: Repo) -> dict[str, Any]:
    return {
        "id": name,
        "downloads": repo.downloads,
        "likes": 3,
        "lastModified": "2026-03-01T12:00:00.000Z",
        "gated": "manual" if repo.gated else False,
        "private": False,
        "tags": ["gguf"],
    }
