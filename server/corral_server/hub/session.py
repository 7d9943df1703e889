"""The one way out of a Hub process: every request of ours and of huggingface_hub goes through it.

It keeps the token at the endpoint, stays away from addresses that a redirect should not reach
(`destination`), bounds every wait and every retry, and speaks only in our errors; so none of
huggingface_hub's own retries, which honour any Retry-After, ever start.
"""

import time
from functools import cache
from typing import Any

import httpx2

from corral_server.errors import HubUnavailable
from corral_server.hub.destination import refusal
from corral_server.hub.faults import TRY_AGAIN_S, asked_pause_s, fault_of, is_transient
from corral_server.hub.messages import Retries

# What a connection that breaks, or stays silent, raises.
BROKEN = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)

_MAX_REDIRECTS = 5

# Reading all certificates takes a while: once in a process is enough.
_trusted = cache(httpx2.create_ssl_context)


class Session(httpx2.Client):
    """An HTTP client for one Hub. `subject` is what its requests are about, for error messages.

    Only one that `may_leave` follows a redirect to another origin, as content needs it: an answer
    about a repository comes from the endpoint or not at all.
    """

    def __init__(
        self, endpoint: str, subject: str, *, timeout_s: float, retries: Retries, may_leave: bool
    ) -> None:
        self._endpoint = httpx2.URL(endpoint)
        self._subject = subject
        self._limits = httpx2.Timeout(timeout_s).as_dict()
        self._retries = retries
        self._may_leave = may_leave
        super().__init__(
            verify=_trusted(),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            event_hooks={"request": [self._guard]},
        )

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The answer, a success. Raises what it means if it is none, after bounded retries."""
        # Whoever made the request: no wait without a limit, no body that we would have to unpack.
        request.extensions["timeout"] = self._limits
        request.headers["Accept-Encoding"] = "identity"
        for failures in range(1, self._retries.attempts):
            try:
                response = super().send(request, **options)
            except BROKEN:
                pause_s = self._retries.pause_after(failures)
            except httpx2.HTTPError as error:
                raise self._unreachable(error) from error
            else:
                if not is_transient(response.status_code):
                    return self._success(response)
                response.close()
                pause_s = self._pause_for(response, failures)
            time.sleep(pause_s)
        try:
            return self._success(super().send(request, **options))
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _success(self, response: httpx2.Response) -> httpx2.Response:
        if not response.is_success:
            response.close()
            raise fault_of(response, self._subject, self._endpoint)
        return response

    def _pause_for(self, response: httpx2.Response, failures: int) -> float:
        """How long to wait before the next attempt. Raises if the Hub wants that to be long."""
        asked_s = asked_pause_s(response)
        if asked_s is not None and asked_s > self._retries.pause_max_s:
            raise fault_of(response, self._subject, self._endpoint)
        return self._retries.pause_after(failures) if asked_s is None else asked_s

    def _guard(self, request: httpx2.Request) -> None:
        """Called for each request, and for each one that a redirect makes of it."""
        if request.url.origin == self._endpoint.origin:
            return
        # httpx2 does that too, but not between http and https of one name; nor may a caller.
        request.headers.pop("Authorization", None)
        why = refusal(request.url, self._endpoint) if self._may_leave else "away from its address"
        if why:
            target = f"{request.url.scheme}://{request.url.host}"
            raise HubUnavailable(f"the Hub redirected to {target}, {why}; not followed")

    def _unreachable(self, error: httpx2.HTTPError) -> HubUnavailable:
        return HubUnavailable(
            f"the Hub at {self._endpoint.host} does not answer: {type(error).__name__}",
            retry_after_s=TRY_AGAIN_S,
        )
