"""One file's way from the Hub into its blob: resumed, checked, never there by half.

huggingface_hub 2.4 would do this in `hf_hub_download`, but that starts over after an interruption
(its partial files have random names and are removed), checks no hash, and waits as long as a
Retry-After says. So the bytes are fetched here, over the same URLs, into the same cache. hf-xet is
not used either: its own threads and retries talk to further hosts, past our session, and it cannot
go on with half a file. The Hub serves every Xet file over plain HTTP, too.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import httpx2

from corral_server.errors import HubDataCorrupt, HubUnavailable
from corral_server.hub.catalog import RepoFile
from corral_server.hub.digest import Digest
from corral_server.hub.faults import TRY_AGAIN_S
from corral_server.hub.messages import Retries
from corral_server.hub.session import BROKEN, Session

_CHUNK_BYTES = 1024 * 1024
# Less than this from a connection before it breaks, and it counts as a failure.
_WORTHWHILE_BYTES = 1024 * 1024
# Written out this often, so that the last sync does not take minutes without a sign of life.
_SYNC_BYTES = 256 * 1024 * 1024

Advance = Callable[[int], None]


class Download:
    """A file at `address`. What has come of it is in `partial`, and stays there for next time.

    A connection that breaks is taken up where it broke. There is no If-Range: the address names a
    commit, the partial file is named by its content's hash, and that is checked in the end.
    """

    def __init__(
        self,
        file: RepoFile,
        address: str,
        headers: dict[str, str],
        partial: Path,
        *,
        session: Session,
        retries: Retries,
    ) -> None:
        self._file = file
        self._address = address
        self._headers = headers
        self._partial = partial
        self._session = session
        self._retries = retries
        self._digest = Digest(file.etag, file.size)

    def run(self, advance: Advance) -> None:
        """Completes `partial` and checks it. `advance` is told each time how much is there."""
        with open(self._partial, "ab", buffering=0) as sink:
            self._take_up(sink, advance)
            self._complete(sink, advance)
            os.fsync(sink.fileno())
        if not self._digest.is_right:
            self._reject("what came has another hash than the Hub announced")

    def _take_up(self, sink: FileIO, advance: Advance) -> None:
        """Reads what is there already. A partial file that is too long is none."""
        if sink.tell() > self._file.size:
            sink.truncate(0)
        with open(self._partial, "rb", buffering=0) as source:
            while chunk := source.read(_CHUNK_BYTES):
                self._digest.update(chunk)
                advance(source.tell())
        sink.seek(0, os.SEEK_END)

    def _complete(self, sink: FileIO, advance: Advance) -> None:
        failures = 0
        while sink.tell() < self._file.size:
            start = sink.tell()
            try:
                self._append(sink, advance)
            except BROKEN as error:
                failures = failures + 1 if sink.tell() - start < _WORTHWHILE_BYTES else 1
                if failures >= self._retries.attempts:
                    raise self._broken(sink.tell()) from error
                time.sleep(self._retries.pause_after(failures))

    def _append(self, sink: FileIO, advance: Advance) -> None:
        synced = sink.tell()
        for chunk in self._content_from(sink.tell()):
            if sink.tell() + len(chunk) > self._file.size:
                self._reject("more came than the Hub announced")
            _write(sink, chunk)
            self._digest.update(chunk)
            advance(sink.tell())
            if sink.tell() - synced >= _SYNC_BYTES:
                os.fsync(sink.fileno())
                synced = sink.tell()
        if sink.tell() < self._file.size:
            raise httpx2.RemoteProtocolError("the content ended early")

    def _content_from(self, start: int) -> Iterator[bytes]:
        """The content behind its first `start` bytes, as it comes."""
        with self._response(start) as response:
            self._check_announced(response, start)
            # A server that ignores Range sends all of it: what is there already is passed over.
            surplus = start if response.status_code == httpx2.codes.OK else 0
            for chunk in response.iter_raw():
                yield chunk[surplus:]
                surplus = max(surplus - len(chunk), 0)

    @contextmanager
    def _response(self, start: int) -> Iterator[httpx2.Response]:
        headers = dict(self._headers)
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._session.stream("GET", self._address, headers=headers) as response:
            yield response

    def _check_announced(self, response: httpx2.Response, start: int) -> None:
        """Refuses a content that cannot be the file, before a byte of it is written."""
        size = self._file.size
        if response.status_code == httpx2.codes.PARTIAL_CONTENT:
            is_right = response.headers.get("Content-Range") == f"bytes {start}-{size - 1}/{size}"
        else:
            is_right = response.headers.get("Content-Length", str(size)) == str(size)
        if not is_right or "Content-Encoding" in response.headers:
            raise HubDataCorrupt(
                f"{self._file.path} has {size} bytes, but something else was sent for it"
            )

    def _reject(self, why: str) -> None:
        """Removes what is there: it would be wrong the next time, too."""
        self._partial.unlink(missing_ok=True)
        raise HubDataCorrupt(f"{self._file.path}: {why}; the next download starts anew")

    def _broken(self, done: int) -> HubUnavailable:
        return HubUnavailable(
            f"the download of {self._file.path} broke off at {done} of {self._file.size} bytes, "
            f"{self._retries.attempts} times; the next one goes on from there",
            retry_after_s=TRY_AGAIN_S,
        )


def _write(sink: FileIO, chunk: bytes) -> None:
    """All of `chunk`: a disk that is nearly full takes a part of it first."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[sink.write(rest) :]
