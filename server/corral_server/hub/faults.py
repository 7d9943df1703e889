"""What an answer of the Hub that is no success means to the caller.

Nothing the Hub wrote enters a message: it could hold what we sent it, the token included.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

from corral_server.errors import CorralError, HubAccessDenied, HubNotFound, HubUnavailable

TRY_AGAIN_S = 10.0
_MAX_RETRY_AFTER_S = 3600.0
_TRANSIENT = (408, 425, 429)
_MISSING = {"RevisionNotFound": "revision", "EntryNotFound": "file"}


def is_transient(status: int) -> bool:
    """Whether the same request may succeed a little later."""
    return status in _TRANSIENT or status >= 500


def fault_of(response: httpx2.Response, subject: str, endpoint: httpx2.URL) -> CorralError:
    """The error for `response`, which was about `subject`: a repository, or a search."""
    status = response.status_code
    if status == 401:
        return HubAccessDenied(
            f"the Hub shows {subject} only to some (401): set HF_TOKEN or the hub's token_file on "
            "the server to a token that has access; or there is no repository of that name"
        )
    if status == 403:
        return HubAccessDenied(
            f"the server's token has no access to {subject} (403): if the repository is gated, "
            f"accept its terms at {endpoint}/{subject}; if it is private, use a token of its owner"
        )
    if status in (404, 410):
        return _not_found(response, subject)
    if is_transient(status):
        why = "asks for fewer requests" if status == 429 else "failed"
        return HubUnavailable(
            f"the Hub {why} ({status})", retry_after_s=asked_pause_s(response) or TRY_AGAIN_S
        )
    return HubUnavailable(f"the Hub refused a request about {subject} ({status})")


def asked_pause_s(response: httpx2.Response) -> float | None:
    """How long the Hub asks to wait, at most an hour; None if it does not say."""
    asked = _retry_after_s(response.headers.get("Retry-After", ""))
    if asked is None and (limit := parse_ratelimit_headers(response.headers)) is not None:
        asked = float(limit.reset_in_seconds) if limit.remaining == 0 else None
    return None if asked is None else min(max(asked, 0.0), _MAX_RETRY_AFTER_S)


def _not_found(response: httpx2.Response, subject: str) -> HubNotFound:
    missing = _MISSING.get(response.headers.get("X-Error-Code", ""), "repo")
    what = {
        "repo": f"there is no repository {subject} on the Hub",
        "revision": f"{subject} has no such revision",
        "file": f"{subject} has no such file",
    }
    return HubNotFound(what[missing], missing=missing)


def _retry_after_s(header: str) -> float | None:
    """Its value, seconds or a date."""
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()
