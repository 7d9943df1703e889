"""A case: a name, what it does, and where its servers are."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from corral import Client, CorralError

# Does everything a case asks for and says what it saw; raises AssertionError where that is wrong.
Case: TypeAlias = Callable[[], str]

S = "Once upon a time, there was a"
TIMEOUT_S = 20.0
POLL_S = 0.02
PATIENCE_S = 5.0


class Mismatch(AssertionError):
    """Something else than what the case expects."""


def expect(met: bool, what: str, seen: object = "") -> None:
    """Raises Mismatch unless `met`."""
    if not met:
        raise Mismatch(f"expected {what}, saw {seen!r}")


def equal(seen: object, wanted: object, what: str) -> None:
    expect(seen == wanted, f"{what} {wanted!r}", seen)


def plain() -> Client:
    return Client(os.environ["CORRAL_ADDRESS"], token="", tls=False)


def future() -> Client:
    return Client(os.environ["CORRAL_FUTURE_ADDRESS"], token="", tls=False)


def flaky() -> Client:
    return Client(os.environ["CORRAL_FLAKY_ADDRESS"], token="", tls=False)


def secure(token: str) -> Client:
    return Client(
        os.environ["CORRAL_TLS_ADDRESS"], ca_file=os.environ["CORRAL_TLS_CA"], token=token
    )


def fresh_id() -> str:
    """A request_id nobody had."""
    return f"case-{secrets.token_hex(8)}"


class Refusal:
    """How a call failed, once its `with` block is left."""

    error: CorralError

    def has(self, code: str, reason: str, **metadata: str) -> None:
        """Raises Mismatch if the call failed otherwise."""
        equal((self.error.code.name, self.error.reason), (code, reason), "code and reason")
        seen = {key: self.error.metadata.get(key) for key in metadata}
        equal(seen, metadata, "metadata")


@contextmanager
def refused() -> Iterator[Refusal]:
    """Expects what is inside to fail."""
    refusal = Refusal()
    try:
        yield refusal
    except CorralError as error:
        refusal.error = error
        return
    raise Mismatch("expected the call to fail")


def poll_until_idle(client: Client) -> None:
    """Waits until `demo` computes nothing."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        demo = next(model for model in client.models.list() if model.id == "demo")
        if not demo.running_requests:
            return
        expect(time.monotonic() < deadline, "a free slot", demo.running_requests)
        time.sleep(POLL_S)
