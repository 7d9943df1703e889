"""What a GGUF header says of one tensor, and how many bytes that makes."""

from dataclasses import dataclass
from math import prod

from corral_server.engine.gguf_cursor import Cursor

MAX_NAME_BYTES = 63
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 2**63 - 1

# The types of this ggml by their number: name, elements in a block, bytes of a block.
# 4, 5, 31 to 33 and 36 to 38 were taken out of the format.
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's place in the data section, which starts at the first aligned byte."""

    name: str
    num_elements: int
    num_bytes: int
    offset: int


def read_tensor(cursor: Cursor) -> Tensor:
    """The next tensor of the header, its shape and type checked, its offset not yet."""
    name = cursor.text("a tensor name", MAX_NAME_BYTES)
    shape = _read_shape(cursor, name)
    num_elements = prod(shape)
    num_bytes = _read_size(cursor, name, shape[0], num_elements)
    return Tensor(name, num_elements, num_bytes, offset=cursor.u64())


def _read_shape(cursor: Cursor, name: str) -> tuple[int, ...]:
    num_dimensions = cursor.u32()
    if num_dimensions > MAX_DIMENSIONS:
        raise cursor.invalid(
            f"tensor {name!r} has {num_dimensions} dimensions, the limit is {MAX_DIMENSIONS}"
        )
    shape = tuple(cursor.u64() for _ in range(num_dimensions)) or (1,)
    # ggml would take a dimension of zero here and abort on it later.
    if not 0 < prod(shape) <= MAX_ELEMENTS:
        raise cursor.invalid(f"tensor {name!r} has the impossible shape {shape}")
    return shape


def _read_size(cursor: Cursor, name: str, row: int, num_elements: int) -> int:
    number = cursor.u32()
    if number not in TENSOR_TYPES:
        raise cursor.invalid(f"tensor {name!r} has the unknown type {number}")
    type_name, block_elements, block_bytes = TENSOR_TYPES[number]
    if row % block_elements:
        raise cursor.invalid(
            f"tensor {name!r} of type {type_name} has rows of {row} elements,"
            f" not a multiple of {block_elements}"
        )
    return num_elements // block_elements * block_bytes
