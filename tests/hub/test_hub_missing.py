"""What is not on the Hub, and what is named instead."""

import pytest

from corral_server.config import HubSource
from corral_server.errors import HubNotFound, HubUnavailable, InvalidFields
from corral_server.hub.messages import ListFiles, PullModel, Search
from fake_hub import FakeHub, Fault
from hub.case import FILE, REPO, Do


def test_an_unknown_repository_is_answered_with_near_ones(do: Do) -> None:
    with pytest.raises(HubNotFound, match=f"nobody/tiny-GGUF.*there is {REPO}"):
        do(ListFiles("nobody/tiny-GGUF", "main"))


def test_an_unknown_revision_is_answered_with_those_there_are(fake: FakeHub, do: Do) -> None:
    fake.add(REPO, {}, revision="v2")
    with pytest.raises(HubNotFound, match="'v3'.*it has main, v2"):
        do(ListFiles(REPO, "v3"))


def test_an_unknown_file_is_answered_with_near_ones(do: Do) -> None:
    with pytest.raises(HubNotFound, match=f"'tiny-Q8.gguf'; it has {FILE}"):
        do(PullModel(HubSource(repo=REPO, file="tiny-Q8.gguf")))


def test_an_unknown_quantization_is_answered_with_those_there_are(do: Do) -> None:
    with pytest.raises(HubNotFound, match="it has Q4_K_M, Q8_0"):
        do(PullModel(HubSource(repo=REPO, quantization="Q2_K")))


def test_a_quantization_of_several_models_names_them(fake: FakeHub, do: Do) -> None:
    fake.add("a/two", dict.fromkeys(("b-Q8_0.gguf", "c-Q8_0.gguf", "mmproj-Q8_0.gguf"), b"x"))
    with pytest.raises(InvalidFields, match=r"b-Q8_0.gguf, c-Q8_0.gguf; name the file") as caught:
        do(PullModel(HubSource(repo="a/two", quantization="Q8_0")))
    assert [violation.field for violation in caught.value.violations] == ["quantization"]


def test_what_answers_but_is_no_hub_is_unavailable(fake: FakeHub, do: Do) -> None:
    fake.misbehave("/api/", Fault(status=200, body=b"<html>Please log in</html>"))
    with pytest.raises(HubUnavailable, match="is no Hub"):
        do(Search("x", 1))


def test_a_repository_that_is_gone_while_its_files_are_asked_for_is_told(
    fake: FakeHub, do: Do
) -> None:
    fake.misbehave("/tree/", Fault(status=404, headers=(("X-Error-Code", "RepoNotFound"),)))
    with pytest.raises(HubNotFound, match=f"no repository {REPO}"):
        do(ListFiles(REPO, "main"))


def test_near_names_that_cannot_be_had_are_left_out(fake: FakeHub, do: Do) -> None:
    fake.misbehave("search=", Fault(status=403))
    with pytest.raises(HubNotFound, match="there is no repository nobody/x on the Hub$"):
        do(ListFiles("nobody/x", "main"))


@pytest.mark.parametrize("endpoint", ["nonsense", "https://", "gopher://127.0.0.1"])
def test_an_address_that_is_none_is_told(endpoint: str, do: Do) -> None:
    with pytest.raises(HubUnavailable):
        do(Search("x", 1), endpoint=endpoint)
