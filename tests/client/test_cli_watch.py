"""The watch command."""

import pytest

from corral import LoadProgress, LoadStage, Model, ModelState
from corral.cli.watch import Board
from corral.v1.model_manager_pb2 import (
    DefaultChanged,
    ModelProgress,
    ModelRemoved,
    ModelsSnapshot,
    WatchModelsResponse,
)

from .command import Corral
from .scripted_server import FAILED, MODEL, OVER, ScriptedServer, changes, messages_then


def test_watch_is_a_line_for_each_change(corral: Corral, server: ScriptedServer) -> None:
    unknown = WatchModelsResponse.FromString(b"\x7a\x00")  # field 15, empty: of a newer server
    progress = LoadProgress(stage=LoadStage.LOAD_STAGE_LOADING, fraction=0.5)
    seen = changes(
        ModelsSnapshot(models=[MODEL, FAILED]),
        ModelProgress(id="big", progress=progress),
        MODEL,
        ModelRemoved(id="torn"),
        DefaultChanged(id="demo"),
        DefaultChanged(),
        ModelsSnapshot(),
    )
    server.answers["WatchModels"] = messages_then([*seen, unknown], OVER)
    result = corral("watch")
    assert (result.code, result.err) == (1, "error: over\n")
    assert [line.partition(" ")[2] for line in result.out.splitlines()] == [
        "1 snapshot: demo ready, 2 running, 1 waiting, torn failed: cut short",
        "2 big reading the weights 50%",
        "3 demo ready, 2 running, 1 waiting",
        "4 torn removed",
        "5 demo is the default",
        "6 none is the default",
        "7 snapshot: no models",
        "0 something newer than this client",
    ]


def test_watch_json(corral: Corral) -> None:
    snapshot, removed = corral("watch", "--json").json
    assert [model["id"] for model in snapshot["snapshot"]["models"]] == ["demo", "torn"]
    assert removed == {"sequence": "2", "instance_id": "i1", "removed": {"id": "torn"}}


def test_watch_is_a_table_on_a_terminal(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = corral("watch").out
    last = shown[shown.rindex("wait") :]
    assert "demo" in last and "torn" not in last
    assert "1 snapshot: demo ready" in corral("watch", "--lines").out


def test_a_board_shows_what_the_changes_leave() -> None:
    board = Board()
    loading = Model(id="b", state=ModelState.MODEL_STATE_LOADING)
    other = Model(id="a", state=ModelState.MODEL_STATE_READY, is_default=True)
    half = LoadProgress(stage=LoadStage.LOAD_STAGE_LOADING, fraction=0.5)
    events = [ModelsSnapshot(models=[FAILED]), ModelsSnapshot(), loading, other]
    for change in changes(*events, ModelProgress(id="b", progress=half), DefaultChanged(id="b")):
        board.take(change)
    assert [(model.id, model.is_default) for model in board.in_order] == [("a", False), ("b", True)]
    assert board.loads == {"b": half}
    ready = Model(id="b", state=ModelState.MODEL_STATE_READY)
    for change in changes(ready, ModelRemoved(id="a"), ModelRemoved(id="unknown")):
        board.take(change)
    assert (board.in_order, board.loads) == ([ready], {})
