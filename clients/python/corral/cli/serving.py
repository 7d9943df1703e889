"""Flags of how a model is loaded: those of LoadOptions, and how it serves."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from corral.cli.options import checked, count, number, sampling_flags, seconds
from corral.requests import LoraOptions, RopeOptions, SamplingOptions, ServingOptions
from corral.words import (
    CacheTypeWord,
    FlashAttentionWord,
    ModeWord,
    PoolingWord,
    RopeScalingWord,
    SplitModeWord,
)

CACHE = "Context and cache"
DEVICES = "Devices"
MODEL = "The model itself"

# Fields of RopeScaling by their flags.
ROPE = {
    "rope_scaling": "type",
    "rope_freq_base": "freq_base",
    "rope_freq_scale": "freq_scale",
    "yarn_original_context": "yarn_original_context",
}


class Can(StrEnum):
    """What a model can be asked to do. Not a CapabilityWord: typer has no lists of these."""

    GENERATE = "generate"
    CHAT = "chat"
    EMBED = "embed"


def _split(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r} is not N,N,...") from None


SERVING: Mapping[str, object] = {
    "capability": Annotated[
        list[Can] | None,
        typer.Option(help="What it is asked to do; may be repeated. Default: generate and chat."),
    ],
    "mode": Annotated[
        ModeWord | None,
        typer.Option(help="Default: direct where embed is asked for, else server."),
    ],
    "context_size": Annotated[
        int | None, count("Tokens the KV cache holds, over all slots.", panel=CACHE)
    ],
    "slots": Annotated[int | None, count("Sequences computed at the same time.", panel=CACHE)],
    "max_waiting": Annotated[int | None, count("Requests that may wait for a slot.", panel=CACHE)],
    "batch_size": Annotated[int | None, count("Tokens computed in one step at most.", panel=CACHE)],
    "ubatch_size": Annotated[
        int | None, count("Tokens computed in one graph at most.", panel=CACHE)
    ],
    "cache_type_k": Annotated[
        CacheTypeWord | None,
        typer.Option(help="How keys are stored. Default: f16.", rich_help_panel=CACHE),
    ],
    "cache_type_v": Annotated[
        CacheTypeWord | None,
        typer.Option(help="How values are stored. Default: f16.", rich_help_panel=CACHE),
    ],
    "flash_attention": Annotated[
        FlashAttentionWord | None, typer.Option(help="Default: auto.", rich_help_panel=CACHE)
    ],
    "prefix_cache": Annotated[
        bool | None,
        typer.Option(
            "--prefix-cache/--no-prefix-cache",
            help="Keep what was computed for prompts that begin alike.",
            rich_help_panel=CACHE,
        ),
    ],
    "host_cache_bytes": Annotated[
        float | None, number("Memory for what leaves the KV cache, bytes.", panel=CACHE)
    ],
    "step_target": Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            callback=checked(seconds),
            help="How long one step should take while answers run. Default: 100ms.",
            rich_help_panel=CACHE,
        ),
    ],
    "threads": Annotated[int | None, count("Processor threads of its engine.", panel=DEVICES)],
    "gpu_layers": Annotated[int | None, count("Layers on GPUs; -1 means all.", panel=DEVICES)],
    "device": Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A GPU to use; may be repeated.", rich_help_panel=DEVICES
        ),
    ],
    "split_mode": Annotated[
        SplitModeWord | None,
        typer.Option(help="How it lies over several GPUs.", rich_help_panel=DEVICES),
    ],
    "tensor_split": Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            callback=checked(_split),
            help="Part on each GPU, in any unit.",
            rich_help_panel=DEVICES,
        ),
    ],
    "main_gpu": Annotated[int | None, count("The GPU used with --split-mode none.", panel=DEVICES)],
    "use_mmap": Annotated[
        bool | None,
        typer.Option(
            "--mmap/--no-mmap", help="Map the file instead of reading it.", rich_help_panel=DEVICES
        ),
    ],
    "use_mlock": Annotated[
        bool | None,
        typer.Option(
            "--mlock/--no-mlock",
            help="Keep the weights from being swapped out.",
            rich_help_panel=DEVICES,
        ),
    ],
    "pooling": Annotated[
        PoolingWord | None,
        typer.Option(help="How the vectors of a text's tokens become one.", rich_help_panel=MODEL),
    ],
    "lora": Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[=SCALE]", help="An adapter; may be repeated.", rich_help_panel=MODEL
        ),
    ],
    "chat_template": Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A Jinja template, here, instead of the model's own.",
            rich_help_panel=MODEL,
        ),
    ],
    "rope_scaling": Annotated[
        RopeScalingWord | None,
        typer.Option(help="How positions are scaled.", rich_help_panel=MODEL),
    ],
    "rope_freq_base": Annotated[float | None, number("Base frequency.", panel=MODEL)],
    "rope_freq_scale": Annotated[float | None, number("Factor on frequencies.", panel=MODEL)],
    "yarn_original_context": Annotated[
        int | None, count("The context it was trained with, for YaRN.", panel=MODEL)
    ],
    **sampling_flags("Sampling, where a request says nothing"),
}


def serving_options(flags: Mapping[str, Any]) -> ServingOptions:
    """The options that the values of SERVING stand for."""
    given = {name: value for name, value in flags.items() if value is not None}
    options = ServingOptions(
        capabilities=given.pop("capability", ()),
        devices=given.pop("device", ()),
        lora=map(_lora, given.pop("lora", ())),
        tensor_split=_split(given.pop("tensor_split")) if "tensor_split" in given else (),
    )
    if "step_target" in given:
        options["step_target"] = seconds(given.pop("step_target"))
    if "chat_template" in given:
        options["chat_template"] = given.pop("chat_template").read_text(encoding="utf-8")
    rope = {field: given.pop(flag) for flag, field in ROPE.items() if flag in given}
    if rope:
        options["rope"] = cast(RopeOptions, rope)
    sampling = {name: given.pop(name) for name in SamplingOptions.__annotations__ if name in given}
    if sampling:
        options["default_sampling"] = cast(SamplingOptions, sampling)
    return cast(ServingOptions, {**options, **given})


def _lora(text: str) -> LoraOptions:
    path, _, scale = text.rpartition("=")
    try:
        return LoraOptions(path=path, scale=float(scale)) if path else LoraOptions(path=text)
    except ValueError:  # a path with = in it
        return LoraOptions(path=text)
