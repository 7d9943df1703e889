"""LoadOptions between the contract and us. What contradicts itself is refused here, and so is what
llama.cpp would abort on."""

from typing import Any

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
from corral_server.rpc import limits
from corral_server.rpc.check import Checker
from corral_server.rpc.present import duration

CACHE_TYPES = {
    model_pb2.CACHE_TYPE_F32: CacheType.F32,
    model_pb2.CACHE_TYPE_F16: CacheType.F16,
    model_pb2.CACHE_TYPE_BF16: CacheType.BF16,
    model_pb2.CACHE_TYPE_Q8_0: CacheType.Q8_0,
    model_pb2.CACHE_TYPE_Q5_1: CacheType.Q5_1,
    model_pb2.CACHE_TYPE_Q5_0: CacheType.Q5_0,
    model_pb2.CACHE_TYPE_Q4_1: CacheType.Q4_1,
    model_pb2.CACHE_TYPE_Q4_0: CacheType.Q4_0,
}
FLASH_ATTENTION = {
    model_pb2.FLASH_ATTENTION_AUTO: FlashAttention.AUTO,
    model_pb2.FLASH_ATTENTION_ON: FlashAttention.ON,
    model_pb2.FLASH_ATTENTION_OFF: FlashAttention.OFF,
}
SPLIT_MODES = {
    model_pb2.SPLIT_MODE_NONE: SplitMode.NONE,
    model_pb2.SPLIT_MODE_LAYER: SplitMode.LAYER,
    model_pb2.SPLIT_MODE_ROW: SplitMode.ROW,
}
ROPE_TYPES = {
    model_pb2.ROPE_SCALING_TYPE_NONE: RopeScalingType.NONE,
    model_pb2.ROPE_SCALING_TYPE_LINEAR: RopeScalingType.LINEAR,
    model_pb2.ROPE_SCALING_TYPE_YARN: RopeScalingType.YARN,
}
POOLINGS = {
    model_pb2.POOLING_MEAN: Pooling.MEAN,
    model_pb2.POOLING_CLS: Pooling.CLS,
    model_pb2.POOLING_LAST: Pooling.LAST,
}
_PLAIN = SamplingParams()
_DEFAULT = LoadOptions()
_UNQUANTIZED = (CacheType.F32, CacheType.F16, CacheType.BF16)


def from_message(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> LoadOptions:
    """The options asked for; every field that is left out has its default."""
    numbers = check.numbers(message, limits.LOAD, prefix)
    switches = {name: getattr(message, name) for name in _SWITCHES if message.HasField(name)}
    choices = {
        name: known[value]
        for name, known in _CHOICES.items()
        if (value := check.choice(getattr(message, name), known, prefix + name))
    }
    options = LoadOptions(
        **numbers,
        **switches,
        **choices,
        devices=_devices(message, prefix, check),
        tensor_split=_tensor_split(message, prefix, check),
        rope=_rope(message.rope, f"{prefix}rope.", check),
        lora=_lora(message, prefix, check),
        chat_template=message.chat_template or _DEFAULT.chat_template,
        default_sampling=sampling(message.default_sampling, f"{prefix}default_sampling.", check),
        step_target_s=_step_target_s(message, prefix, check),
        host_cache_bytes=_host_cache_bytes(message, prefix, check),
    )
    check.size(message.chat_template, limits.MAX_TEMPLATE_BYTES, f"{prefix}chat_template")
    check_together(options, prefix, check)
    return options


_SWITCHES = ("use_mmap", "use_mlock", "prefix_cache")
_CHOICES: dict[str, dict[Any, Any]] = {
    "cache_type_k": CACHE_TYPES,
    "cache_type_v": CACHE_TYPES,
    "flash_attention": FLASH_ATTENTION,
    "split_mode": SPLIT_MODES,
    "pooling": POOLINGS,
}


def check_together(options: LoadOptions, prefix: str, check: Checker) -> None:
    """What is good by itself but not beside the rest."""
    check.require(
        options.batch_size >= options.slots,
        f"{prefix}batch_size",
        f"must be at least the number of slots, {options.slots}, not {options.batch_size}",
    )
    check.require(
        (options.ubatch_size or 0) <= options.batch_size,
        f"{prefix}ubatch_size",
        f"must be at most the batch size, {options.batch_size}, not {options.ubatch_size}",
    )
    check.require(
        options.cache_type_v in _UNQUANTIZED or options.flash_attention is not FlashAttention.OFF,
        f"{prefix}cache_type_v",
        "quantized values need flash attention, which is turned off",
    )
    check.require(
        not options.tensor_split or options.split_mode is not SplitMode.NONE,
        f"{prefix}tensor_split",
        "has no meaning where split_mode is NONE",
    )
    check.require(
        not options.tensor_split or sum(options.tensor_split) > 0,
        f"{prefix}tensor_split",
        "must not be all zero",
    )
    _check_devices(options, prefix, check)
    _check_rope(options.rope, f"{prefix}rope", check)


def _check_devices(options: LoadOptions, prefix: str, check: Checker) -> None:
    count = len(options.devices)
    if not count:
        return
    once = len(set(options.devices)) == count
    check.require(once, f"{prefix}devices", "must not name a device twice")
    check.require(
        len(options.tensor_split) in (0, count),
        f"{prefix}tensor_split",
        f"must have a part for each of the {count} devices, has {len(options.tensor_split)}",
    )
    check.require(
        options.main_gpu < count,
        f"{prefix}main_gpu",
        f"must be below {count}, the number of devices, not {options.main_gpu}",
    )


def _check_rope(rope: RopeScaling, field: str, check: Checker) -> None:
    if rope.type is None:
        return
    check.require(
        not rope.yarn_original_context or rope.type is RopeScalingType.YARN,
        field,
        f'yarn_original_context has no use where type is "{rope.type.value}"',
    )
    check.require(
        rope.freq_scale is None or rope.type is not RopeScalingType.NONE,
        field,
        'freq_scale has no use where type is "none"',
    )


def _devices(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> tuple[str, ...]:
    check.count(message.devices, limits.MAX_DEVICES, f"{prefix}devices")
    for index, name in enumerate(message.devices[: limits.MAX_DEVICES]):
        good = 0 < len(name) <= limits.MAX_NAME_BYTES and name.isprintable()
        check.require(good, f"{prefix}devices[{index}]", "must be the name of a device")
    return tuple(message.devices)


def _tensor_split(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> tuple[float, ...]:
    check.count(message.tensor_split, limits.MAX_DEVICES, f"{prefix}tensor_split")
    for index, part in enumerate(message.tensor_split[: limits.MAX_DEVICES]):
        check.number(part, limits.TENSOR_SPLIT, f"{prefix}tensor_split[{index}]")
    return tuple(message.tensor_split)


def _rope(message: model_pb2.RopeScaling, prefix: str, check: Checker) -> RopeScaling:
    type = check.choice(message.type, ROPE_TYPES, f"{prefix}type")
    return RopeScaling(
        type=ROPE_TYPES[type] if type else None, **check.numbers(message, limits.ROPE, prefix)
    )


def _lora(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> tuple[LoraAdapter, ...]:
    check.count(message.lora, limits.MAX_LORAS, f"{prefix}lora")
    adapters = []
    for index, adapter in enumerate(message.lora[: limits.MAX_LORAS]):
        scale = adapter.scale if adapter.HasField("scale") else 1.0
        check.path(adapter.path, f"{prefix}lora[{index}].path")
        check.number(scale, limits.LORA_SCALE, f"{prefix}lora[{index}].scale")
        adapters.append(LoraAdapter(adapter.path, scale))
    return tuple(adapters)


def _step_target_s(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> float:
    if not message.HasField("step_target"):
        return _DEFAULT.step_target_s
    return check.seconds(message.step_target, limits.STEP_TARGET_S, f"{prefix}step_target")


def _host_cache_bytes(message: model_pb2.LoadOptions, prefix: str, check: Checker) -> int | None:
    if not message.HasField("host_cache_bytes"):
        return None
    given = message.host_cache_bytes
    check.number(given, limits.HOST_CACHE_BYTES, f"{prefix}host_cache_bytes")
    return int(given) if given in limits.HOST_CACHE_BYTES else None


def sampling(
    message: sampling_pb2.SamplingParams,
    prefix: str,
    check: Checker,
    defaults: SamplingParams = _PLAIN,
) -> SamplingParams:
    """The sampling asked for; every field that is left out is that of `defaults`."""
    values = check.numbers(message, limits.SAMPLING, prefix)
    check.count(message.logit_bias, limits.MAX_LOGIT_BIASES, f"{prefix}logit_bias")
    for token, bias in sorted(message.logit_bias.items()):
        check.number(bias, limits.LOGIT_BIAS, f"{prefix}logit_bias[{token}]")
    known: dict[str, Any] = {name: getattr(defaults, name) for name in defaults.__struct_fields__}
    known["logit_bias"] = dict(message.logit_bias) or defaults.logit_bias
    return SamplingParams(**known | values)


def to_message(options: LoadOptions) -> model_pb2.LoadOptions:
    """Every option that is decided; what the engine decides shows in the facts."""
    message = model_pb2.LoadOptions(
        use_mmap=options.use_mmap,
        use_mlock=options.use_mlock,
        devices=options.devices,
        tensor_split=options.tensor_split,
        rope=_rope_message(options.rope),
        lora=[model_pb2.LoraAdapter(path=one.path, scale=one.scale) for one in options.lora],
        chat_template=options.chat_template or "",
        step_target=duration(options.step_target_s),
        prefix_cache=options.prefix_cache,
        host_cache_bytes=options.host_cache_bytes,
    )
    if options.default_sampling != _PLAIN:
        message.default_sampling.CopyFrom(sampling_message(options.default_sampling))
    for name in limits.LOAD:
        if (value := getattr(options, name)) is not None:
            setattr(message, name, value)
    for name, known in _CHOICES.items():
        numbers = {choice: number for number, choice in known.items()}
        if (choice := getattr(options, name)) is not None:
            setattr(message, name, numbers[choice])
    return message


def sampling_message(params: SamplingParams) -> sampling_pb2.SamplingParams:
    """With every field set."""
    return sampling_pb2.SamplingParams(
        **{name: getattr(params, name) for name in params.__struct_fields__}
    )


def _rope_message(rope: RopeScaling) -> model_pb2.RopeScaling | None:
    if rope == RopeScaling():
        return None
    numbers = {choice: number for number, choice in ROPE_TYPES.items()}
    message = model_pb2.RopeScaling(type=numbers[rope.type] if rope.type else None)
    for name in limits.ROPE:
        if (value := getattr(rope, name)) is not None:
            setattr(message, name, value)
    return message
