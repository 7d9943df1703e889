"""Every option of a load: both ways, at its bounds, and beside the others."""

import math
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from corral.v1 import model_pb2, sampling_pb2
from corral_server.config import (
    CacheType,
    FlashAttention,
    LoadOptions,
    LoraAdapter,
    Pooling,
    RopeScaling,
    RopeScalingType,
    SplitMode,
)
from corral_server.request import SamplingParams
from corral_server.rpc import limits, load_options
from corral_server.rpc.check import Checker
from corral_server.rpc.limits import Range
from rpc.fields import bad_fields, edges


def read(message: model_pb2.LoadOptions, prefix: str = "") -> LoadOptions:
    """The options; raises what is wrong with them."""
    check = Checker()
    options = load_options.from_message(message, prefix, check)
    check.close()
    return options


def options(**fields: Any) -> model_pb2.LoadOptions:
    return model_pb2.LoadOptions(**fields)


def refused(message: model_pb2.LoadOptions) -> list[str]:
    return bad_fields(read, message)


# Both ways.


def numbers(bounds: Range) -> st.SearchStrategy[float]:
    """Values in `bounds` that a protobuf float can hold."""
    return st.floats(bounds.low, bounds.high, width=32, exclude_min=bounds.above)


def whole(bounds: Range) -> st.SearchStrategy[int]:
    return st.integers(int(bounds.low), int(bounds.high))


@st.composite
def samplings(draw: st.DrawFn) -> SamplingParams:
    fields: dict[str, Any] = {
        name: draw((whole if name in ("top_k", "repeat_last_n", "seed") else numbers)(bounds))
        for name, bounds in limits.SAMPLING.items()
    }
    tokens = st.integers(0, 2**31 - 1)
    biases = st.dictionaries(tokens, numbers(limits.LOGIT_BIAS), max_size=3)
    return SamplingParams(**fields, logit_bias=draw(biases))


@st.composite
def ropes(draw: st.DrawFn) -> RopeScaling:
    type = draw(st.none() | st.sampled_from(RopeScalingType))
    is_none = type is RopeScalingType.NONE
    is_yarn = type in (None, RopeScalingType.YARN)
    original = st.none() | whole(limits.ROPE["yarn_original_context"])
    return RopeScaling(
        type=type,
        freq_base=draw(st.none() | numbers(limits.ROPE["freq_base"])),
        freq_scale=None if is_none else draw(st.none() | numbers(limits.ROPE["freq_scale"])),
        yarn_original_context=draw(original) if is_yarn else None,
    )


paths = st.text(st.characters(categories=["L", "N"]), max_size=20).map(lambda name: f"/{name}")
devices = st.lists(st.sampled_from([f"CUDA{n}" for n in range(16)]), unique=True, max_size=16)


@st.composite
def all_options(draw: st.DrawFn) -> LoadOptions:
    """Options of which none contradicts another."""
    slots = draw(whole(limits.LOAD["slots"]))
    batch_size = draw(st.integers(slots, 8192))
    names = tuple(draw(devices))
    split_mode = draw(st.sampled_from(SplitMode))
    parts = st.lists(numbers(limits.TENSOR_SPLIT), min_size=len(names), max_size=len(names))
    tensor_split = tuple(draw(parts)) if split_mode is not SplitMode.NONE else ()
    cache_type_v = draw(st.sampled_from(CacheType))
    plain = cache_type_v in (CacheType.F32, CacheType.F16, CacheType.BF16)
    attention = FlashAttention if plain else (FlashAttention.AUTO, FlashAttention.ON)
    return LoadOptions(
        context_size=draw(st.none() | whole(limits.LOAD["context_size"])),
        slots=slots,
        batch_size=batch_size,
        ubatch_size=draw(st.none() | st.integers(1, batch_size)),
        threads=draw(st.none() | whole(limits.LOAD["threads"])),
        max_waiting=draw(whole(limits.LOAD["max_waiting"])),
        cache_type_k=draw(st.sampled_from(CacheType)),
        cache_type_v=cache_type_v,
        flash_attention=draw(st.sampled_from(attention)),
        gpu_layers=draw(whole(limits.LOAD["gpu_layers"])),
        devices=names,
        split_mode=split_mode,
        tensor_split=tensor_split if sum(tensor_split) > 0 else (),
        main_gpu=draw(st.integers(0, max(len(names) - 1, 0))),
        use_mmap=draw(st.booleans()),
        use_mlock=draw(st.booleans()),
        rope=draw(ropes()),
        lora=tuple(
            LoraAdapter(path, scale)
            for path, scale in draw(st.dictionaries(paths, numbers(limits.LORA_SCALE))).items()
        )[: limits.MAX_LORAS],
        pooling=draw(st.none() | st.sampled_from(Pooling)),
        chat_template=draw(st.none() | st.text(min_size=1, max_size=20)),
        default_sampling=draw(st.just(SamplingParams()) | samplings()),
        step_target_s=draw(st.integers(10**6, 60 * 10**9)) / 1e9,
        prefix_cache=draw(st.booleans()),
        host_cache_bytes=draw(st.none() | whole(limits.HOST_CACHE_BYTES)),
    )


@given(all_options())
def test_options_come_back_as_they_were(given_options: LoadOptions) -> None:
    assert read(load_options.to_message(given_options)) == given_options


def test_every_option_of_the_contract_has_its_place() -> None:
    names = {field.name for field in model_pb2.LoadOptions.DESCRIPTOR.fields}
    fields = set(LoadOptions.__struct_fields__)
    assert names - fields == {"step_target"} and fields - names == {"step_target_s"}


def test_what_is_left_out_takes_its_default() -> None:
    assert read(options()) == LoadOptions()


def test_what_the_engine_decides_is_absent() -> None:
    message = load_options.to_message(LoadOptions())
    absent = {"context_size", "threads", "ubatch_size", "rope", "pooling", "default_sampling"}
    absent.add("host_cache_bytes")
    for name in absent:
        assert not _is_set(message, name), name
    for field in message.DESCRIPTOR.fields:
        if field.name not in absent and field.has_presence:
            assert message.HasField(field.name), field.name


def _is_set(message: Message, name: str) -> bool:
    return name in [field.name for field, _ in message.ListFields()]


def test_a_false_or_a_zero_that_is_set_is_taken() -> None:
    read_back = read(options(use_mmap=False, gpu_layers=0, max_waiting=0))
    assert (read_back.use_mmap, read_back.gpu_layers, read_back.max_waiting) == (False, 0, 0)
    read_back = read(options(prefix_cache=False, host_cache_bytes=0))
    assert (read_back.prefix_cache, read_back.host_cache_bytes) == (False, 0)


def test_sampling_is_taken_over_the_defaults_field_by_field() -> None:
    message = options(default_sampling=sampling_pb2.SamplingParams(temperature=0, seed=7))
    assert read(message).default_sampling == SamplingParams(temperature=0.0, seed=7)


# Bounds.


# What makes the rest good where one option is at an edge.
BESIDE: dict[str, dict[str, int]] = {
    "slots": {"batch_size": 8192},
    "batch_size": {"slots": 1},
    "ubatch_size": {"batch_size": 8192},
}


@pytest.mark.parametrize("name", limits.LOAD)
def test_numbers_keep_to_their_bounds(name: str) -> None:
    inside, outside = edges(limits.LOAD[name], whole=True)
    beside = BESIDE.get(name, {})
    for value in inside:
        assert getattr(read(options(**{name: int(value)}, **beside)), name) == value
    for value in outside:
        assert set(refused(options(**{name: int(value)}, **beside))) == {name}, value


@pytest.mark.parametrize("nanos", [1_000_000, 50_000_000, 60 * 10**9])
def test_a_step_may_aim_at_a_millisecond_or_a_minute(nanos: int) -> None:
    target = Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
    assert read(options(step_target=target)).step_target_s == nanos / 1e9


@pytest.mark.parametrize(
    "target", [Duration(), Duration(nanos=999_999), Duration(seconds=60, nanos=1)]
)
def test_a_step_cannot_aim_beyond(target: Duration) -> None:
    assert refused(options(step_target=target)) == ["step_target"]


def test_the_host_cache_keeps_to_its_bounds() -> None:
    assert read(options(host_cache_bytes=2.0**50)).host_cache_bytes == 2**50
    for value in (-1.0, 2.0**50 + 1, math.nan, math.inf, -math.inf):
        assert refused(options(host_cache_bytes=value)) == ["host_cache_bytes"], value


@pytest.mark.parametrize("name", limits.ROPE)
def test_rope_keeps_to_its_bounds(name: str) -> None:
    is_whole = name == "yarn_original_context"
    inside, outside = edges(limits.ROPE[name], whole=is_whole)
    for value, good in [*((value, True) for value in inside), *((v, False) for v in outside)]:
        rope = model_pb2.RopeScaling()
        setattr(rope, name, int(value) if is_whole else value)
        assert refused(options(rope=rope)) == ([] if good else [f"rope.{name}"]), value


def test_the_scale_of_an_adapter_keeps_to_its_bounds() -> None:
    inside, outside = edges(limits.LORA_SCALE, whole=False)
    for value, good in [*((value, True) for value in inside), *((v, False) for v in outside)]:
        lora = [model_pb2.LoraAdapter(path="/a"), model_pb2.LoraAdapter(path="/b", scale=value)]
        assert refused(options(lora=lora)) == ([] if good else ["lora[1].scale"]), value


def test_an_adapter_is_applied_whole_unless_its_scale_is_set() -> None:
    lora = [model_pb2.LoraAdapter(path="/a"), model_pb2.LoraAdapter(path="/b", scale=0)]
    assert read(options(lora=lora)).lora == (LoraAdapter("/a", 1.0), LoraAdapter("/b", 0.0))


@pytest.mark.parametrize("part", [-1.0, math.nan, math.inf])
def test_a_part_of_a_split_is_a_number_that_is_not_negative(part: float) -> None:
    assert refused(options(tensor_split=[1.0, part]))[0] == "tensor_split[1]"


@pytest.mark.parametrize(
    ("field", "of_size", "most"),
    [
        ("devices", lambda n: options(devices=[f"CUDA{i}" for i in range(n)]), 16),
        ("tensor_split", lambda n: options(tensor_split=[1.0] * n), 16),
        ("lora", lambda n: options(lora=[model_pb2.LoraAdapter(path="/a")] * n), 16),
        ("chat_template", lambda n: options(chat_template="x" * n), 512 * 1024),
        ("devices[0]", lambda n: options(devices=["x" * n]), 128),
        ("lora[0].path", lambda n: options(lora=[{"path": "/" * n}]), 4096),
        (
            "default_sampling.logit_bias",
            lambda n: options(default_sampling={"logit_bias": dict.fromkeys(range(n), 0.0)}),
            1024,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_end_at_their_bounds(field: str, of_size: Any, most: int) -> None:
    assert refused(of_size(most)) == []
    assert refused(of_size(most + 1)) == [field]


# What makes no sense, alone or together.


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (options(cache_type_k=99), ["cache_type_k"]),
        (options(cache_type_v=99), ["cache_type_v"]),
        (options(flash_attention=99), ["flash_attention"]),
        (options(split_mode=-1), ["split_mode"]),
        (options(pooling=4), ["pooling"]),
        (options(rope={"type": 9}), ["rope.type"]),
        (options(devices=[""]), ["devices[0]"]),
        (options(devices=["CUDA0", "a\nb"]), ["devices[1]"]),
        (options(lora=[{}]), ["lora[0].path"]),
        (options(lora=[{"path": "a.gguf"}]), ["lora[0].path"]),
        (options(default_sampling={"top_p": 2.0}), ["default_sampling.top_p"]),
        (options(default_sampling={"logit_bias": {7: 1e9}}), ["default_sampling.logit_bias[7]"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_named(message: Any, fields: list[str]) -> None:
    if "lora[0].path" in fields:
        assert set(refused(message)) == set(fields)
    else:
        assert refused(message) == fields


QUANTIZED = [
    model_pb2.CACHE_TYPE_Q8_0,
    model_pb2.CACHE_TYPE_Q5_1,
    model_pb2.CACHE_TYPE_Q5_0,
    model_pb2.CACHE_TYPE_Q4_1,
    model_pb2.CACHE_TYPE_Q4_0,
]
NONE, LINEAR = model_pb2.ROPE_SCALING_TYPE_NONE, model_pb2.ROPE_SCALING_TYPE_LINEAR
ONE_GPU = {"split_mode": model_pb2.SPLIT_MODE_NONE}


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ({"slots": 16, "batch_size": 16}, {"slots": 16, "batch_size": 15}, "batch_size"),
        (
            {"batch_size": 64, "ubatch_size": 64},
            {"batch_size": 64, "ubatch_size": 65},
            "ubatch_size",
        ),
        ({"tensor_split": [0, 1]}, {"tensor_split": [0, 0]}, "tensor_split"),
        ({"tensor_split": [1.0]}, {"tensor_split": [1.0], **ONE_GPU}, "tensor_split"),
        ({"devices": ["a", "b"]}, {"devices": ["a", "a"]}, "devices"),
        (
            {"devices": ["a", "b"], "tensor_split": [1, 2]},
            {"devices": ["a", "b"], "tensor_split": [1, 2, 3]},
            "tensor_split",
        ),
        ({"devices": ["a"], "main_gpu": 0}, {"devices": ["a"], "main_gpu": 1}, "main_gpu"),
        (
            {"rope": {"yarn_original_context": 9}},
            {"rope": {"type": LINEAR, "yarn_original_context": 9}},
            "rope",
        ),
        (
            {"rope": {"type": LINEAR, "freq_scale": 0.5}},
            {"rope": {"type": NONE, "freq_scale": 0.5}},
            "rope",
        ),
    ],
)
def test_options_must_not_contradict_each_other(
    good: dict[str, Any], bad: dict[str, Any], field: str
) -> None:
    assert refused(options(**good)) == []
    assert refused(options(**bad)) == [field]


@pytest.mark.parametrize("type", QUANTIZED)
def test_quantized_values_need_flash_attention_and_keys_do_not(type: Any) -> None:
    off = model_pb2.FLASH_ATTENTION_OFF
    assert refused(options(cache_type_v=type)) == []
    assert refused(options(cache_type_v=type, flash_attention=off)) == ["cache_type_v"]
    assert refused(options(cache_type_k=type, flash_attention=off)) == []


def test_all_that_is_wrong_is_named_at_once_with_its_place() -> None:
    message = options(slots=0, devices=["", ""], rope={"freq_base": -1}, lora=[{"path": "x"}])
    assert set(bad_fields(read, message, "options.")) == {
        "options.slots",
        "options.devices",
        "options.devices[0]",
        "options.devices[1]",
        "options.rope.freq_base",
        "options.lora[0].path",
    }
