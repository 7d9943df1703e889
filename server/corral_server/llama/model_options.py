"""How a model's weights are loaded, in llama.cpp's terms."""

import ctypes
from dataclasses import dataclass, replace

from llama_cpp import llama_cpp as c

from corral_server.config import SplitMode
from corral_server.errors import FieldViolation, InvalidFields
from corral_server.llama.devices import Device, find_gpus

_KEY_BYTES = 127
_SPLIT_MODES = {
    SplitMode.NONE: c.LLAMA_SPLIT_MODE_NONE,
    SplitMode.LAYER: c.LLAMA_SPLIT_MODE_LAYER,
    SplitMode.ROW: c.LLAMA_SPLIT_MODE_ROW,
}


@dataclass(frozen=True, slots=True)
class BlankVocabulary:
    """So many tokens without a text. Of a vocabulary, sizes depend on no more than their number,
    and to read it takes longer than all the rest. Whoever asks for a text makes llama.cpp abort."""

    architecture: str
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Where the weights go and how they get there. `gpu_layers` -1 means all of them.

    `is_dry` loads no weights: sizes are computed, and the vocabulary is there, or `blank` for it.
    """

    gpu_layers: int = -1
    devices: tuple[str, ...] = ()
    split_mode: SplitMode = SplitMode.LAYER
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    use_mmap: bool = True
    use_mlock: bool = False
    is_dry: bool = False
    blank: BlankVocabulary | None = None

    def dry(self, blank: BlankVocabulary | None = None) -> "ModelOptions":
        return replace(self, is_dry=True, blank=blank)


DEFAULT_OPTIONS = ModelOptions()


class ModelParams:
    """llama.cpp's struct for some ModelOptions, with the arrays it points to.

    Raises InvalidFields for a device that is not there.
    """

    def __init__(self, options: ModelOptions) -> None:
        self.struct: c.llama_model_params = c.llama_model_default_params()
        self.struct.n_gpu_layers = options.gpu_layers
        self.struct.split_mode = _SPLIT_MODES[options.split_mode]
        self.struct.main_gpu = options.main_gpu
        self.struct.load_mode = _load_mode(options)
        self.struct.no_alloc = options.is_dry
        if options.blank is not None:
            self._overrides = _overrides(options.blank)
            self.struct.kv_overrides = self._overrides
        if options.devices:
            self._devices = _null_terminated(_pick(options.devices, find_gpus()))
            self.struct.devices = ctypes.cast(self._devices, ctypes.c_void_p)
        if options.tensor_split:
            self._split = _shares(options.tensor_split)
            self.struct.tensor_split = self._split


def _load_mode(options: ModelOptions) -> int:
    if options.is_dry:
        # llama.cpp aborts on a dry run of any other mode.
        return c.LLAMA_LOAD_MODE_NONE
    if options.use_mmap:
        return c.LLAMA_LOAD_MODE_MMAP_MLOCK if options.use_mlock else c.LLAMA_LOAD_MODE_MMAP
    return c.LLAMA_LOAD_MODE_MLOCK if options.use_mlock else c.LLAMA_LOAD_MODE_NONE


def _overrides(blank: BlankVocabulary) -> "ctypes.Array[c.llama_model_kv_override]":
    """What llama.cpp reads in place of the file's own metadata; an empty key is their end."""
    tokenizer = c.llama_model_kv_override(
        tag=c.LLAMA_KV_OVERRIDE_TYPE_STR,
        key=b"tokenizer.ggml.model",
        value=c.llama_model_kv_override_value(val_str=b"no_vocab"),
    )
    size = c.llama_model_kv_override(
        tag=c.LLAMA_KV_OVERRIDE_TYPE_INT,
        # No architecture has so long a name, and llama.cpp will say so.
        key=f"{blank.architecture}.vocab_size".encode()[:_KEY_BYTES],
        value=c.llama_model_kv_override_value(val_i64=blank.num_tokens),
    )
    overrides = (c.llama_model_kv_override * 3)(tokenizer, size)
    return overrides


def _pick(names: tuple[str, ...], gpus: tuple[Device, ...]) -> list[Device]:
    by_name = {gpu.name: gpu for gpu in gpus}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        known = f"known are {', '.join(by_name)}" if by_name else "this machine has no GPU"
        why = f"{', '.join(map(repr, unknown))} is no GPU here; {known}"
        raise InvalidFields.of(FieldViolation("options.devices", why))
    return [by_name[name] for name in names]


def _null_terminated(devices: list[Device]) -> "ctypes.Array[ctypes.c_void_p]":
    return (ctypes.c_void_p * (len(devices) + 1))(*(device.handle for device in devices), None)


def _shares(parts: tuple[float, ...]) -> "ctypes.Array[ctypes.c_float]":
    """llama.cpp reads one number for each device it could have, not for each it has."""
    size = c.llama_max_devices()
    if len(parts) > size:
        why = f"has {len(parts)} parts, at most {size} are possible"
        raise InvalidFields.of(FieldViolation("options.tensor_split", why))
    shares: ctypes.Array[ctypes.c_float] = (ctypes.c_float * size)(*parts)
    return shares
