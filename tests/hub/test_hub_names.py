"""Names on the Hub, redirects' targets, and the models among files: no network in here."""

from pathlib import Path

import httpx2
import pytest

from corral_server.config import HubSource
from corral_server.errors import InvalidFields
from corral_server.hub.cache import cache_root
from corral_server.hub.catalog import RepoFile, models_among
from corral_server.hub.destination import refusal
from corral_server.hub.names import check_repo, check_source, quantization_of


@pytest.mark.parametrize(
    "file",
    [
        "../x.gguf",
        "a/../x.gguf",
        "a/./x.gguf",
        "a//x.gguf",
        "/etc/x.gguf",
        "a\\..\\x.gguf",
        "\\\\host\\share\\x.gguf",
        "C:/x.gguf",
        "x\0.gguf",
        "x\n.gguf",
        "x.bin",
        "x.gguf/",
        "",
        "a" * 2000 + ".gguf",
        "x-00002-of-00003.gguf",
        "x-00000-of-00003.gguf",
        "x-00004-of-00003.gguf",
        "x-00001-of-99999.gguf",
    ],
)
def test_a_file_that_is_no_model_in_the_repository_is_refused(file: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        check_source(HubSource(repo="a/b", file=file))
    assert {violation.field for violation in caught.value.violations} == {"file"}


@pytest.mark.parametrize(
    "repo",
    ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "a/b.git", "a/b--c", "a/b c", "a/b\n"],
)
def test_a_repository_that_cannot_be_is_refused(repo: str) -> None:
    with pytest.raises(InvalidFields, match="repo: "):
        check_repo(repo, "main")


@pytest.mark.parametrize("revision", ["", "../x", "a/../b", "-x", "a b", "a//b", "a\0", "/x", "a/"])
def test_a_revision_that_cannot_be_is_refused(revision: str) -> None:
    with pytest.raises(InvalidFields, match="revision: "):
        check_repo("a/b", revision)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidFields) as caught:
        check_source(HubSource(repo="a", file="x", revision="..", force=True, offline=True))
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["repo", "revision", "file", "force"]


@pytest.mark.parametrize(("file", "quantization"), [("", ""), ("x.gguf", "Q8_0")])
def test_exactly_one_of_file_and_quantization_is_given(file: str, quantization: str) -> None:
    with pytest.raises(InvalidFields, match="exactly one"):
        check_source(HubSource(repo="a/b", file=file, quantization=quantization))


def test_what_is_right_is_not_refused() -> None:
    check_source(HubSource(repo="Qwen/Qwen3-0.6B_x.GGUF", file="sub dir/ü-Q8_0.gguf"))
    check_source(HubSource(repo="a/b", quantization="UD-Q4_K_XL", revision="refs/pr/1"))


@pytest.mark.parametrize(
    ("file", "quantization"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "Q8_0"),
        ("llama-2-7b.Q4_K_M.gguf", "Q4_K_M"),
        ("model-q5_k_s.gguf", "Q5_K_S"),
        ("gemma-UD-Q4_K_XL-00001-of-00002.gguf", "UD-Q4_K_XL"),
        ("x-IQ2_XXS.gguf", "IQ2_XXS"),
        ("x-BF16.gguf", "BF16"),
        ("x-fp16.gguf", "FP16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("BF16/x-00001-of-00002.gguf", "BF16"),
        ("Q4_0/x-Q8_0.gguf", "Q8_0"),
        ("QwQ-32B.gguf", ""),
        ("imatrix.gguf", ""),
    ],
)
def test_a_name_tells_its_quantization(file: str, quantization: str) -> None:
    assert quantization_of(file) == quantization


def test_only_what_is_whole_and_safe_is_a_model() -> None:
    sizes = {
        "b.gguf": 3,
        "README.md": 1,
        "../evil.gguf": 1,
        "s-00001-of-00002.gguf": 1,
        "s-00002-of-00002.gguf": 1,
        "half-00001-of-00002.gguf": 1,
        "huge-00001-of-99999.gguf": 1,
    }
    models = models_among(RepoFile(path, size, "") for path, size in sizes.items())
    assert [(model.name, model.size_bytes) for model in models] == [
        ("s-00001-of-00002.gguf", 2),
        ("b.gguf", 3),
    ]


@pytest.mark.parametrize(
    ("configured", "variables", "root"),
    [
        ("/data/hub", {"HF_HUB_CACHE": "/a"}, "/data/hub"),
        (None, {"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        (None, {"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        (None, {"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        (None, {"HOME": "/home/x"}, "/home/x/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(
    configured: str | None, variables: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_root(configured) == Path(root)


@pytest.mark.parametrize(
    ("endpoint", "target", "is_followed"),
    [
        ("https://93.184.216.34", "https://1.1.1.1/x", True),
        ("https://93.184.216.34", "http://1.1.1.1/x", False),
        ("https://93.184.216.34", "https://127.0.0.1/x", False),
        ("https://93.184.216.34", "https://192.168.1.1/x", False),
        ("https://93.184.216.34", "https://[::1]/x", False),
        ("https://93.184.216.34", "https://[fe80::1]/x", False),
        ("https://93.184.216.34", "https://100.64.0.1/x", False),
        ("https://192.168.1.1", "https://10.0.0.1/x", True),
        ("https://192.168.1.1", "https://127.0.0.1/x", False),
        ("http://192.168.1.1", "http://169.254.169.254/x", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/x", True),
        ("http://127.0.0.1:1", "http://192.168.1.1/x", False),
        ("http://127.0.0.1:1", "https://1.1.1.1/x", True),
    ],
)
def test_a_redirect_leads_to_public_addresses_or_to_the_endpoints_own_kind(
    endpoint: str, target: str, is_followed: bool
) -> None:
    assert (refusal(httpx2.URL(target), httpx2.URL(endpoint)) == "") is is_followed
