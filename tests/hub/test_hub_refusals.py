"""What a Hub refuses, and where it may send us."""

import pytest

from corral_server.errors import CorralError, HubAccessDenied, HubNotFound, HubUnavailable
from corral_server.hub.messages import Search
from fake_hub import FakeHub, Fault
from hub.case import ATTEMPTS, CONTENT, REPO, TOKEN, Do

SEARCH = Search("x", 1)


@pytest.mark.parametrize("path", ["/api/", "/resolve/", "/blobs/"])
@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (401, HubAccessDenied, 1),
        (403, HubAccessDenied, 1),
        (404, HubNotFound, 1),
        (500, HubUnavailable, ATTEMPTS),
    ],
)
def test_a_status_becomes_its_error(
    path: str,
    status: int,
    error: type[CorralError],
    requests: int,
    fake: FakeHub,
    do: Do,
) -> None:
    fake.misbehave(path, Fault(status=status, body=f"hello {TOKEN}".encode()), times=1000)
    with pytest.raises(error) as caught:
        do()
    assert TOKEN not in str(caught.value)
    asked = [request for request in fake.requests if path in request.path]
    assert len([request for request in asked if "search=" not in request.path]) == requests


def test_who_is_refused_learns_what_to_do(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/resolve/", Fault(status=401))
    with pytest.raises(HubAccessDenied, match="HF_TOKEN.*token_file"):
        do()
    fake.misbehave("/resolve/", Fault(status=403))
    with pytest.raises(HubAccessDenied, match=f"accept its terms at {fake.url}/{REPO}"):
        do()


def test_a_hub_that_wants_a_long_pause_is_not_waited_for(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(status=429, headers=(("Retry-After", "77"),)))
    with pytest.raises(HubUnavailable, match="429") as caught:
        do()
    assert caught.value.retry_after_s == 77.0
    assert len(fake.content_requests) == 1


def test_a_hub_that_wants_a_short_pause_gets_it_so_many_times(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/blobs/", Fault(status=429, headers=(("Retry-After", "0"),)), times=1)
    assert do().content == CONTENT
    fake.behave()
    fake.misbehave("/api/", Fault(status=429, headers=(("Retry-After", "0"),)), times=1000)
    with pytest.raises(HubUnavailable, match="429"):
        do(SEARCH)
    assert len(fake.requests) == ATTEMPTS


def test_an_address_without_a_search_is_no_hub(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/api/", Fault(status=404))
    with pytest.raises(HubUnavailable, match="is no Hub"):
        do(SEARCH)


def test_nobody_there_is_unavailable(fake: FakeHub, do: Do) -> None:
    with pytest.raises(HubUnavailable, match="127.0.0.1 does not answer") as caught:
        do(SEARCH, endpoint="http://127.0.0.1:1")
    assert caught.value.retry_after_s


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://0.0.0.0/x",
    ],
)
def test_a_redirect_to_where_no_cdn_is_is_not_followed(target: str, fake: FakeHub, do: Do) -> None:
    fake.misbehave("/resolve/", Fault(redirect=target))
    with pytest.raises(HubUnavailable, match="not followed"):
        do()


def test_redirects_without_end_are_not_followed(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/resolve/", Fault(redirect="/someone/tiny-GGUF/resolve/main/x"), times=1000)
    with pytest.raises(HubUnavailable, match="TooManyRedirects"):
        do()
    assert len(fake.requests) < 20


def test_only_content_may_come_from_elsewhere(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/api/", Fault(redirect=f"{fake.cdn_url}/api/models"))
    with pytest.raises(HubUnavailable, match="away from its address"):
        do(SEARCH)
    assert {request.port for request in fake.requests} == {fake.port}


def test_a_private_repository_without_a_token_is_denied(fake: FakeHub, do: Do) -> None:
    fake.repos[REPO].token = TOKEN
    with pytest.raises(HubAccessDenied, match="HF_TOKEN"):
        do()


def test_a_token_file_that_is_not_there_is_told(do: Do) -> None:
    with pytest.raises(HubAccessDenied, match="token_file /nowhere/token cannot be read"):
        do(token_file="/nowhere/token")
