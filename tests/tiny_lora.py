"""Writes LoRA adapters for the tiny models."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def random_pair(columns: int, rows: int, *, rank: int = 4, seed: int = 0) -> Pair:
    """Factors of a change to a matrix of `rows` x `columns`: (rank, columns) and (rows, rank)."""
    random = np.random.default_rng(seed)
    a = random.standard_normal((rank, columns), dtype=np.float32) / np.float32(np.sqrt(columns))
    b = random.standard_normal((rows, rank), dtype=np.float32) / np.float32(np.sqrt(rank))
    return a, b


def write_lora(
    path: Path, pairs: Mapping[str, Pair], *, alpha: float = 4.0, architecture: str = "llama"
) -> Path:
    """`pairs` by the name of the weights they change."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, (a, b) in pairs.items():
        writer.add_tensor(f"{name}.lora_a", a)
        writer.add_tensor(f"{name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
