"""The hash of a file's content, as its etag gives it."""

import hashlib
import re

from corral_server.errors import HubDataCorrupt

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Digest:
    """SHA-256 for a file in large file storage; for one that git holds, the SHA-1 of its object."""

    def __init__(self, etag: str, size: int) -> None:
        self._etag = etag
        if _SHA256.fullmatch(etag):
            self._hash = hashlib.sha256()
        elif _SHA1.fullmatch(etag):
            self._hash = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        else:
            raise HubDataCorrupt("the Hub gives a file no hash to check it by")

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    @property
    def is_right(self) -> bool:
        """Whether all that was added is the content."""
        return self._hash.hexdigest() == self._etag
