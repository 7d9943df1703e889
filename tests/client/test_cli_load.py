"""The commands that bring models: load, pull, hub."""

from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict

from corral import LoadProgress, LoadStage
from corral.cli.options import seconds
from corral.v1.model_manager_pb2 import (
    ListHubFilesResponse,
    LoadModelRequest,
    LoadModelResponse,
    SearchHubResponse,
)

from .command import Corral
from .scripted_server import (
    MODEL,
    ScriptedServer,
)


def test_load_says_what_was_loaded(corral: Corral, server: ScriptedServer) -> None:
    flags = "--default --capability chat --context-size 512 --slots 2 --max-waiting 0".split()
    result = corral("load", "demo", "demo", *flags)
    assert result.out == "demo is ready: llama, 4.2 MB, context 2048, 8 slots\n"
    assert (result.code, result.err) == (0, ""), "no bars where stderr is no terminal"
    (request,) = server.requests
    assert request.make_default and request.source.HasField("demo")
    assert list(request.capabilities) == [2]
    assert (request.options.context_size, request.options.slots) == (512, 2)
    assert request.options.HasField("max_waiting") and not request.options.HasField("threads")


def test_load_shows_a_bar_for_each_stage(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = corral("load", "demo", "demo").err
    for stage in ("checking the file", "reading the weights", "warming up"):
        assert stage in shown
    assert "100%" in shown


def test_every_flag_of_load_reaches_the_server(
    corral: Corral, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "template").write_text("{{ messages }}")
    flags = (
        "--alias a --alias b --keep-alive 1.5m --pinned --evict-idle --capability embed "
        "--capability chat --mode direct --offline --force-download --ubatch-size 64 "
        "--cache-type-k q8_0 --cache-type-v f32 --flash-attention off --gpu-layers -1 "
        "--device CUDA0 --device CUDA1 --split-mode row --tensor-split 3,1 --main-gpu 1 --no-mmap "
        "--mlock --rope-scaling yarn --rope-freq-scale 0.5 --yarn-original-context 4096 "
        "--lora /a.gguf=0.5 --lora /b=c.gguf --pooling cls --temperature 0 --seed 7 "
        "--step-target 20ms --no-prefix-cache --host-cache-bytes 1073741824"
    )
    template = ["--chat-template", str(tmp_path / "template")]
    result = corral("load", "m", "hf:ann/small:Q8_0@v1", *flags.split(), *template)
    assert (result.code, result.err) == (0, "")
    expected = {
        "id": "m",
        "source": {
            "hub": {
                "repo": "ann/small",
                "quantization": "Q8_0",
                "revision": "v1",
                "force": True,
                "offline": True,
            }
        },
        "aliases": ["a", "b"],
        "keep_alive": "90s",
        "pinned": True,
        "evict_idle": True,
        "capabilities": ["CAPABILITY_EMBED", "CAPABILITY_CHAT"],
        "mode": "MODE_DIRECT",
        "options": {
            "ubatch_size": 64,
            "cache_type_k": "CACHE_TYPE_Q8_0",
            "cache_type_v": "CACHE_TYPE_F32",
            "flash_attention": "FLASH_ATTENTION_OFF",
            "gpu_layers": -1,
            "devices": ["CUDA0", "CUDA1"],
            "split_mode": "SPLIT_MODE_ROW",
            "tensor_split": [3, 1],
            "main_gpu": 1,
            "use_mmap": False,
            "use_mlock": True,
            "rope": {
                "type": "ROPE_SCALING_TYPE_YARN",
                "freq_scale": 0.5,
                "yarn_original_context": 4096,
            },
            "lora": [{"path": "/a.gguf", "scale": 0.5}, {"path": "/b=c.gguf"}],
            "pooling": "POOLING_CLS",
            "chat_template": "{{ messages }}",
            "default_sampling": {"temperature": 0, "seed": 7},
            "step_target": "0.020s",
            "prefix_cache": False,
            "host_cache_bytes": 2**30,
        },
    }
    assert server.requests == [ParseDict(expected, LoadModelRequest())]


def test_load_from_the_hub_shows_the_download(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    half = LoadProgress(stage=LoadStage.LOAD_STAGE_DOWNLOADING, fraction=0.5)
    server.answers["LoadModel"] = lambda *_: iter(
        [LoadModelResponse(progress=half), LoadModelResponse(model=MODEL)]
    )
    assert "downloading" in corral("load", "m", "hf:ann/small:Q8_0").err


def test_pull_says_where_the_file_is(corral: Corral, server: ScriptedServer) -> None:
    result = corral("pull", "hf:ann/small:Q8_0", "--force-download")
    assert (result.code, result.err) == (0, "")
    assert result.out == "/cache/small.gguf (800.0 MB, 0123456789ab)\n"
    assert server.requests[0].source.force
    *progress, last = corral("pull", "hf:ann/small:Q8_0", "--json").json
    assert [event["progress"]["done_bytes"] for event in progress] == [2e8, 8e8]
    assert last["pulled"]["path"] == "/cache/small.gguf"


def test_pull_shows_bytes_and_speed(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = corral("pull", "hf:ann/small:Q8_0").err
    assert "small.gguf" in shown
    assert "800.0/800.0 MB" in shown


def test_hub(corral: Corral, server: ScriptedServer) -> None:
    header, first, second = corral(
        "hub", "search", "small", "model", "--limit", "3"
    ).out.splitlines()
    assert header.split() == ["repo", "downloads", "likes", "updated"]
    assert first.split() == "ann/small-GGUF 12,345 6 2023-11-14 gated".split()
    assert second.split() == "bob/large-GGUF 1 0".split()
    assert (server.requests[0].query, server.requests[0].limit) == ("small model", 3)
    header, first, second = corral("hub", "files", "ann/small", "--revision", "v1").out.splitlines()
    assert header.split() == ["quantization", "size", "files", "source"]
    assert first.split() == "Q8_0 800.0 MB 1 hf:ann/small/small-q8_0.gguf@v1".split()
    assert second.split()[-2:] == ["2", "hf:ann/small/f16/small-00001-of-00002.gguf@v1"]
    assert corral("hub", "search", "a", "--json").json[0]["repos"][0]["gated"] is True
    assert corral("hub", "files", "a/b", "--json").json[0]["files"][1]["shards"] == 2


def test_nothing_on_the_hub(corral: Corral, server: ScriptedServer) -> None:
    server.answers["SearchHub"] = lambda *_: SearchHubResponse()
    server.answers["ListHubFiles"] = lambda *_: ListHubFilesResponse()
    for arguments in (["search", "x"], ["files", "a/b"]):
        result = corral("hub", *arguments)
        assert (result.code, result.out) == (0, "")
        assert result.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90", 90), ("50ms", 0.05), ("1.5m", 90), ("2h", 7200), ("7d", 604800)],
)
def test_lengths_of_time(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_load_json_is_a_line_for_each_event(corral: Corral) -> None:
    *progress, last = corral("load", "demo", "demo", "--json").json
    assert progress[0]["progress"]["stage"] == "LOAD_STAGE_PROBING"
    assert progress[0]["progress"]["fraction"] == 0.5
    assert len(progress) == 6
    assert last["model"]["id"] == "demo"


def test_load_makes_a_relative_path_absolute(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    corral("load", "m", "m.gguf")
    assert server.requests[0].source.path == str(tmp_path / "m.gguf")
