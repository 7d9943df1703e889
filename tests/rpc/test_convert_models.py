"""What ModelManager is asked: every bound, and what a request becomes that keeps to them."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2
from corral_server.config import (
    Capability,
    DemoSource,
    HubSource,
    LoadOptions,
    Mode,
    ModelSpec,
    PathSource,
)
from corral_server.errors import InvalidFields
from corral_server.rpc import convert_models, present_models
from rpc.fields import bad_fields

GENERATE, CHAT, EMBED = (
    model_pb2.CAPABILITY_GENERATE,
    model_pb2.CAPABILITY_CHAT,
    model_pb2.CAPABILITY_EMBED,
)
DEMO = model_pb2.ModelSource(demo=model_pb2.DemoSource())
HUB: dict[str, Any] = {"repo": "someone/tiny-GGUF", "file": "tiny.gguf"}
DAY = 24 * 3600


def load(**fields: Any) -> pb.LoadModelRequest:
    given: dict[str, Any] = {"id": "m", "source": DEMO} | fields
    return pb.LoadModelRequest(**given)


def path(path: str) -> model_pb2.ModelSource:
    return model_pb2.ModelSource(path=path)


def hub(**fields: Any) -> model_pb2.ModelSource:
    return model_pb2.ModelSource(hub=model_pb2.HubSource(**(HUB | fields)))


def spec(**fields: Any) -> ModelSpec:
    return convert_models.model_spec(load(**fields))


def refused(**fields: Any) -> list[str]:
    return bad_fields(convert_models.model_spec, load(**fields))


# What a good request becomes.


def test_a_load_without_more_takes_every_default() -> None:
    assert spec() == ModelSpec(id="m", source=DemoSource())
    assert spec().capabilities == {Capability.GENERATE, Capability.CHAT}


def test_a_load_arrives_whole() -> None:
    assert spec(
        id="org/name:v1.0_x-y",
        source=path("/models/a b.gguf"),
        options=model_pb2.LoadOptions(context_size=256, slots=2, max_waiting=0),
        capabilities=[CHAT, EMBED],
        mode=model_pb2.MODE_SERVER,
        aliases=["x", "y:1"],
        pinned=True,
        evict_idle=True,
    ) == ModelSpec(
        id="org/name:v1.0_x-y",
        source=PathSource("/models/a b.gguf"),
        options=LoadOptions(context_size=256, slots=2, max_waiting=0),
        capabilities=frozenset({Capability.CHAT, Capability.EMBED}),
        mode=Mode.SERVER,
        aliases=("x", "y:1"),
        pinned=True,
        evicts=True,
    )


def test_what_is_asked_of_memory_is_what_a_load_would_ask() -> None:
    shared: dict[str, Any] = {
        "source": path("/m.gguf"),
        "options": model_pb2.LoadOptions(slots=2),
        "capabilities": [EMBED],
        "mode": model_pb2.MODE_SERVER,
    }
    predicted = convert_models.predicted(pb.PredictMemoryRequest(**shared))
    loaded = spec(**shared)
    for name in ("source", "options", "capabilities", "mode"):
        assert getattr(predicted, name) == getattr(loaded, name)


@pytest.mark.parametrize(
    "source",
    [
        PathSource("/m.gguf"),
        DemoSource(),
        HubSource(repo="a/b", file="folder/m.gguf", revision="v1", force=True),
        HubSource(repo="a/b", quantization="Q8_0", offline=True),
    ],
    ids=["path", "demo", "file", "quantization"],
)
def test_a_source_comes_back_as_it_was(source: Any) -> None:
    assert spec(source=present_models.source(source)).source == source


def test_a_branch_that_is_left_out_is_main() -> None:
    assert spec(source=hub()).source == HubSource(**HUB, revision="main")


@pytest.mark.parametrize(
    ("capabilities", "mode", "expected"),
    [
        ([], 0, Mode.SERVER),
        ([CHAT], 0, Mode.SERVER),
        ([EMBED], 0, Mode.DIRECT),
        ([GENERATE, EMBED], 0, Mode.DIRECT),
        ([EMBED], model_pb2.MODE_SERVER, Mode.SERVER),
        ([CHAT], model_pb2.MODE_DIRECT, Mode.DIRECT),
    ],
)
def test_a_model_that_embeds_serves_directly_unless_told_otherwise(
    capabilities: list[Any], mode: Any, expected: Mode
) -> None:
    assert spec(capabilities=capabilities, mode=mode).mode is expected


# Idleness.


@pytest.mark.parametrize(
    ("seconds", "nanos", "good"),
    [
        (0, 0, True),
        (0, 1, True),
        (30 * DAY, 0, True),
        (30 * DAY, 1, False),
        (-1, 0, False),
        (0, -1, False),
    ],
)
def test_keep_alive_keeps_to_its_bounds(seconds: int, nanos: int, good: bool) -> None:
    keep_alive = Duration(seconds=seconds, nanos=nanos)
    assert refused(keep_alive=keep_alive) == ([] if good else ["keep_alive"])


def test_keep_alive_that_is_left_out_is_for_ever_and_zero_is_none() -> None:
    assert spec().keep_alive_s is None
    assert spec(keep_alive=Duration()).keep_alive_s == 0.0
    assert spec(keep_alive=Duration(seconds=1, nanos=500_000_000)).keep_alive_s == 1.5


def test_a_pinned_model_has_no_time_to_be_idle() -> None:
    assert refused(keep_alive=Duration(seconds=1), pinned=True) == ["keep_alive"]


# Bounds.

OVER_SIZE: list[tuple[Callable[[int], dict[str, Any]], int, str]] = [
    (lambda n: {"id": "x" * n}, 128, "id"),
    (lambda n: {"source": path("/" + "x" * (n - 1))}, 4096, "source.path"),
    (lambda n: {"aliases": [f"a{i}" for i in range(n)]}, 16, "aliases"),
    (lambda n: {"aliases": ["x" * n]}, 128, "aliases[0]"),
]


@pytest.mark.parametrize(("of_size", "most", "field"), OVER_SIZE, ids=[s[2] for s in OVER_SIZE])
def test_sizes_end_at_their_bounds(
    of_size: Callable[[int], dict[str, Any]], most: int, field: str
) -> None:
    assert refused(**of_size(most)) == []
    assert refused(**of_size(most + 1)) == [field]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": ""}, ["id"]),
        ({"id": "-m"}, ["id"]),
        ({"id": "a b"}, ["id"]),
        ({"id": "m\n"}, ["id"]),
        ({"aliases": ["ok", "a b"]}, ["aliases[1]"]),
        ({"aliases": [""]}, ["aliases[0]"]),
        ({"aliases": ["m"]}, ["aliases[0]"]),
        ({"aliases": ["x", "x"]}, ["aliases[1]"]),
        ({"source": model_pb2.ModelSource()}, ["source"]),
        ({"source": path("m")}, ["source.path"]),
        ({"source": path("/a\nb")}, ["source.path"]),
        ({"source": hub(repo="tiny")}, ["source.hub.repo"]),
        ({"source": hub(repo="../x")}, ["source.hub.repo"]),
        ({"source": hub(file="../m.gguf")}, ["source.hub.file"]),
        ({"source": hub(file="/m.gguf")}, ["source.hub.file"]),
        ({"source": hub(file="m.bin")}, ["source.hub.file"]),
        ({"source": hub(file="")}, ["source.hub.file"]),
        ({"source": hub(quantization="Q8_0")}, ["source.hub.quantization"]),
        ({"source": hub(revision="../x")}, ["source.hub.revision"]),
        ({"source": hub(force=True, offline=True)}, ["source.hub.force"]),
        ({"capabilities": [0]}, ["capabilities"]),
        ({"capabilities": [CHAT, 99]}, ["capabilities"]),
        ({"mode": 99}, ["mode"]),
        ({"options": model_pb2.LoadOptions(slots=0)}, ["options.slots"]),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:40],
)
def test_what_makes_no_sense_is_named(fields: dict[str, Any], named: list[str]) -> None:
    assert refused(**fields) == named


def test_an_empty_path_is_no_absolute_one() -> None:
    assert set(refused(source=path(""))) == {"source.path"}


def test_all_that_is_wrong_is_named_at_once() -> None:
    assert sorted(
        refused(
            id="?",
            source=hub(repo="x", file="y"),
            mode=7,
            aliases=["!"],
            keep_alive=Duration(seconds=-1),
            options=model_pb2.LoadOptions(slots=65, rope={"freq_scale": 0}),
        )
    ) == [
        "aliases[0]",
        "id",
        "keep_alive",
        "mode",
        "options.rope.freq_scale",
        "options.slots",
        "source.hub.file",
        "source.hub.repo",
    ]


def test_what_is_asked_of_memory_is_checked_as_a_load_is() -> None:
    bad: dict[str, Any] = {"mode": 7, "capabilities": [9], "options": {"slots": 0}}
    request = pb.PredictMemoryRequest(source=hub(repo="x"), **bad)
    assert sorted(bad_fields(convert_models.predicted, request)) == [
        "capabilities",
        "mode",
        "options.slots",
        "source.hub.repo",
    ]


# The rest.


@pytest.mark.parametrize(
    ("seconds", "nanos", "good"),
    [(0, 0, True), (3600, 0, True), (3600, 1, False), (-1, 0, False), (0, -1, False)],
)
def test_a_drain_timeout_keeps_to_its_bounds(seconds: int, nanos: int, good: bool) -> None:
    timeout = Duration(seconds=seconds, nanos=nanos)
    request = pb.UnloadModelRequest(id="m", drain_timeout=timeout)
    fields = bad_fields(convert_models.drain_timeout_s, request, 30.0)
    assert fields == ([] if good else ["drain_timeout"])


def test_a_drain_timeout_that_is_left_out_is_the_servers() -> None:
    assert convert_models.drain_timeout_s(pb.UnloadModelRequest(id="m"), 12.5) == 12.5


def test_an_unload_must_name_a_model() -> None:
    assert bad_fields(convert_models.drain_timeout_s, pb.UnloadModelRequest(), 30.0) == ["id"]


def test_a_name_that_must_be_given_is_asked_for() -> None:
    assert convert_models.named("m", "id") == "m"
    with pytest.raises(InvalidFields, match="id: must name a model"):
        convert_models.named("", "id")


@pytest.mark.parametrize("limit", [1, 10, 100])
def test_a_search_lists_as_many_as_asked_for(limit: int) -> None:
    assert convert_models.search_limit(pb.SearchHubRequest(limit=limit)) == limit


@pytest.mark.parametrize("limit", [-1, 0, 101])
def test_a_search_does_not_list_less_than_one_or_more_than_a_hundred(limit: int) -> None:
    assert bad_fields(convert_models.search_limit, pb.SearchHubRequest(limit=limit)) == ["limit"]


def test_a_search_lists_ten_unless_told_otherwise() -> None:
    assert convert_models.search_limit(pb.SearchHubRequest(query="x" * 256)) == 10
    long = pb.SearchHubRequest(query="x" * 257)
    assert bad_fields(convert_models.search_limit, long) == ["query"]


def test_what_is_pulled_is_named_as_in_its_request() -> None:
    request = pb.PullModelRequest(source=model_pb2.HubSource(**HUB))
    assert convert_models.pulled(request) == HubSource(**HUB)
    assert bad_fields(convert_models.pulled, pb.PullModelRequest()) == [
        "source.repo",
        "source.file",
    ]
