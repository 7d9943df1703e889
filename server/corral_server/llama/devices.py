"""The devices llama.cpp can compute on, by name."""

import ctypes
from dataclasses import dataclass

from llama_cpp._ggml import libggml

RAM = "RAM"

_CPU = 0
_ACCELERATOR = 3  # computes for the CPU, in its memory

# llama-cpp-python binds none of these.
_count = libggml.ggml_backend_dev_count
_count.argtypes, _count.restype = [], ctypes.c_size_t
_get = libggml.ggml_backend_dev_get
_get.argtypes, _get.restype = [ctypes.c_size_t], ctypes.c_void_p
_name = libggml.ggml_backend_dev_name
_name.argtypes, _name.restype = [ctypes.c_void_p], ctypes.c_char_p
_type = libggml.ggml_backend_dev_type
_type.argtypes, _type.restype = [ctypes.c_void_p], ctypes.c_int


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU. `handle` is valid as long as the process."""

    name: str
    handle: int


def find_gpus() -> tuple[Device, ...]:
    """The devices with a memory of their own, in llama.cpp's order."""
    handles = [_get(index) for index in range(_count())]
    return tuple(
        Device(_name(handle).decode(), handle)
        for handle in handles
        if _type(handle) not in (_CPU, _ACCELERATOR)
    )
