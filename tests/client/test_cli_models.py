"""The commands of the registry and of the memory."""

import pytest
from google.protobuf.json_format import ParseDict

from corral import Model, ModelState, ResolveReason
from corral.v1.model_manager_pb2 import (
    ListModelsResponse,
    PredictMemoryResponse,
    ResolveModelResponse,
)

from .command import Corral
from .scripted_server import (
    FAILED,
    MODEL,
    PREDICTION,
    ScriptedServer,
)


def test_models_are_a_table(corral: Corral) -> None:
    result = corral("models")
    header, demo, torn = (line.split() for line in result.out.splitlines())
    assert header == ("id state mode can size memory context slots run wait idle error".split())
    assert demo == "demo * ready server generate, chat 4.2 MB 61.0 MB 2048 8 2 1".split()
    assert torn == "torn failed cut short".split()
    assert (result.code, result.err) == (0, "")


def test_models_that_are_idle(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral.cli.listing.time.time", lambda: 1_700_000_300)
    idle = Model(id="idle", state=ModelState.MODEL_STATE_READY, aliases=["gpt", "small"])
    idle.loaded_at.FromSeconds(1_700_000_000)
    kept = Model(id="kept", state=ModelState.MODEL_STATE_READY)
    kept.loaded_at.FromSeconds(1_700_000_000)
    kept.last_used_at.FromSeconds(1_700_000_255)
    kept.keep_alive.FromSeconds(3600)
    asleep = Model(id="asleep", state=ModelState.MODEL_STATE_NOT_LOADED)
    server.answers["ListModels"] = lambda *_: ListModelsResponse(models=[idle, kept, asleep])
    header, *rows = (line.split() for line in corral("models").out.splitlines())
    assert header[-2:] == ["idle", "alias"]
    assert rows[0] == "idle ready 0 0 5m gpt, small".split()
    assert rows[1] == "kept ready 0 0 45s/1h".split()
    assert rows[2] == "asleep not loaded".split()


def test_models_of_an_empty_server(corral: Corral, server: ScriptedServer) -> None:
    server.answers["ListModels"] = lambda *_: ListModelsResponse()
    result = corral("models")
    assert (result.code, result.out) == (0, "")
    assert "corral load ID SOURCE" in result.err


def test_models_in_a_state_that_is_not_known_yet(corral: Corral, server: ScriptedServer) -> None:
    newer = ListModelsResponse.FromString(ListModelsResponse(models=[MODEL]).SerializeToString())
    newer.models[0].state = 99  # type: ignore[assignment]
    server.answers["ListModels"] = lambda *_: newer
    assert "99" in corral("models").out.split()


def test_models_json_is_the_contracts_message(corral: Corral) -> None:
    (document,) = corral("models", "--json").json
    assert ParseDict(document, ListModelsResponse()).models[:] == [MODEL, FAILED]
    assert document["models"][0]["is_default"] is True
    assert document["models"][1]["is_default"] is False, "nothing is left out for being false"
    assert document["models"][0]["facts"]["context_size"] == 2048


def test_resolve(corral: Corral, server: ScriptedServer) -> None:
    assert corral("resolve", "gpt").out == "demo (by alias; ready)\n"
    assert corral("resolve", "--json").json[0]["reason"] == "RESOLVE_REASON_ALIAS"
    asleep = ResolveModelResponse(
        model=Model(id="b"), reason=ResolveReason.RESOLVE_REASON_ID, would_load=True
    )
    server.answers["ResolveModel"] = lambda *_: asleep
    assert corral("resolve", "b").out == "b (by id; a call loads it)\n"


def test_memory(corral: Corral, server: ScriptedServer) -> None:
    result = corral("memory")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines == [
        "device total free budget reserved measured".split(),
        "RAM 16.0 GB 9.0 GB 8.0 GB 70.0 MB 61.0 MB the machine's memory".split(),
        "CUDA0 24.0 GB 20.0 GB no limit 0 0".split(),
        [],
        "model device reserved weights cache compute measured".split(),
        "demo RAM 70.0 MB 4.2 MB 50.0 MB 15.8 MB 61.0 MB".split(),
    ]
    assert corral("memory", "--json").json[0]["devices"][0]["budget_bytes"] == 8e9


@pytest.mark.parametrize(
    ("fits", "after_eviction", "verdict"),
    [(True, True, "it fits"), (False, True, "--evict-idle"), (False, False, "it does not fit")],
)
def test_predict(
    corral: Corral, server: ScriptedServer, fits: bool, after_eviction: bool, verdict: str
) -> None:
    found = PredictMemoryResponse(fits=fits, fits_after_eviction=after_eviction)
    found.MergeFrom(PREDICTION) if fits else found.facts.CopyFrom(MODEL.facts)
    server.answers["PredictMemory"] = lambda *_: found
    result = corral("predict", "demo", "--slots", "2", "--capability", "embed")
    assert result.code == 0
    assert "llama, 4.2 MB, context 2048, 8 slots: " in result.out
    assert result.out.rstrip().endswith(verdict)
    (request,) = server.requests
    assert (request.options.slots, list(request.capabilities)) == (2, [3])
    assert corral("predict", "demo", "--json").json[0]["fits"] is fits


def test_unload(corral: Corral, server: ScriptedServer) -> None:
    assert corral("unload", "demo", "--force").out == "demo is unloaded; still there: a, b\n"
    result = corral("unload", "demo", "--drain-timeout", "1.5", "--json")
    assert result.json == [{"remaining_ids": ["a", "b"]}]
    first, second = server.requests
    assert first.force and second.drain_timeout.ToMilliseconds() == 1500


def test_default_is_shown_or_set(corral: Corral, server: ScriptedServer) -> None:
    assert corral("default").out == "demo\n"
    assert corral("default", "demo").out == "demo\n"
    assert corral("default", "--json").json[0]["id"] == "demo"
    kinds = [type(request).__name__ for request in server.requests]
    assert kinds == ["GetDefaultModelRequest", "SetDefaultModelRequest", "GetDefaultModelRequest"]
