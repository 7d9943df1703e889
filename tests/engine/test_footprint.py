"""What a model will take, told before it is loaded, against what it really took."""

import sys
from pathlib import Path
from random import Random
from string import ascii_letters
from typing import Any, get_args

import pytest
from gguf import GGMLQuantizationType as Dtype

from bench.synthetic import write_synthetic
from corral_server.config import CacheType, Capability, LoadOptions, LoraAdapter, Mode
from corral_server.engine.gguf import read_model_files
from corral_server.engine.plan import plan_model
from corral_server.ipc.messages import DeviceFootprint, Start
from corral_server.llama.footprint import Bytes, Footprint
from corral_server.llama.model import LlamaModel
from corral_server.llama.model_options import BlankVocabulary
from corral_server.llama.process import resident_bytes
from loaded_engine import loaded
from tiny_bert import write_bert
from tiny_gguf import Tokenizer, write_llama
from tiny_llama import start_llama
from tiny_lora import random_pair, write_lora

MIB = 1024 * 1024
BOTH = frozenset(Capability)
EMBED = frozenset({Capability.EMBED})
OPTIONS = LoadOptions(threads=2)
SIZES: dict[str, dict[str, Any]] = {
    "20 MB": {"layers": 6, "embedding": 384, "heads": 6, "kv_heads": 2, "ff": 1024, "vocab": 8000},
    "80 MB": {
        "layers": 6,
        "embedding": 640,
        "heads": 10,
        "kv_heads": 2,
        "ff": 1792,
        "vocab": 16000,
    },
    "250 MB": {
        "layers": 10,
        "embedding": 960,
        "heads": 15,
        "kv_heads": 5,
        "ff": 2560,
        "vocab": 24000,
    },
}


def compare(name: str, start: Start) -> tuple[DeviceFootprint, int]:
    """What was predicted of RAM, and what the engine grew by. Prints both."""
    with loaded(start) as engine:
        (ram,) = engine.probed.footprint
        grown = engine.ready.facts.growth_bytes
    predicted = ram.total_bytes
    parts = (ram.weights_bytes, ram.cache_bytes, ram.compute_bytes)
    weights, cache, compute = (f"{part / MIB:.1f}" for part in parts)
    sys.stdout.write(
        f"\n{name}: predicted {predicted / MIB:.1f} MiB (weights {weights}, cache {cache}, compute"
        f" {compute}), grown by {grown / MIB:.1f} MiB: {100 * predicted / grown - 100:+.1f} %"
    )
    return ram, grown


def assert_close(predicted: int, grown: int) -> None:
    """Within 10 %, or 2 MiB where a page of this and a page of that are all there is."""
    assert abs(predicted - grown) <= max(0.1 * grown, 2 * MIB)


@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        ("20 MB", Dtype.F16),
        ("80 MB", Dtype.F16),
        ("80 MB", Dtype.Q8_0),
        ("80 MB", Dtype.Q4_0),  # which llama.cpp copies into another order
        ("250 MB", Dtype.F16),
        ("250 MB", Dtype.Q8_0),
    ],
)
def test_the_prediction_is_within_a_tenth(size: str, dtype: Dtype, tmp_path: Path) -> None:
    path = write_synthetic(tmp_path / "m.gguf", **SIZES[size], dtype=dtype)
    ram, grown = compare(f"{size}, {dtype.name}", Start(str(path), OPTIONS))
    path.unlink()
    assert_close(ram.total_bytes, grown)


CASES = {
    "both": Start("", OPTIONS, capabilities=BOTH),
    "embed only": Start("", OPTIONS, capabilities=EMBED),
    "direct": Start("", OPTIONS, mode=Mode.DIRECT),
    "direct, both": Start("", OPTIONS, capabilities=BOTH, mode=Mode.DIRECT),
    "no mmap": Start("", LoadOptions(threads=2, use_mmap=False)),
    "large batch": Start("", LoadOptions(threads=2, batch_size=2048, slots=32)),
    "small ubatch": Start("", LoadOptions(threads=2, batch_size=1024, ubatch_size=128)),
    "quantized cache": Start(
        "", LoadOptions(threads=2, cache_type_k=CacheType.Q8_0, cache_type_v=CacheType.Q8_0)
    ),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(tmp_path_factory.mktemp("small") / "m.gguf", **SIZES["20 MB"])


@pytest.mark.parametrize("case", CASES)
def test_options_are_in_the_prediction(case: str, small: Path) -> None:
    start = CASES[case]
    ram, grown = compare(case, Start(str(small), start.options, start.capabilities, start.mode))
    assert_close(ram.total_bytes, grown)


def test_a_tiny_model_is_predicted_to_a_few_pages(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf")
    ram, grown = compare("tiny", Start(str(path), OPTIONS))
    assert_close(ram.total_bytes, grown)


@pytest.mark.parametrize("tokenizer", get_args(Tokenizer))
def test_a_large_vocabulary_is_in_the_prediction(tokenizer: Tokenizer, tmp_path: Path) -> None:
    random = Random(0)
    words = ["".join(random.choices(ascii_letters, k=6)) for _ in range(10_000)]
    path = write_llama(tmp_path / "m.gguf", words=words, tokenizer=tokenizer)
    ram, grown = compare(tokenizer, Start(str(path), OPTIONS))
    assert grown > 15 * MIB
    assert_close(ram.total_bytes, grown)


def test_an_encoder_is_predicted_too(tmp_path: Path) -> None:
    path = write_bert(tmp_path / "m.gguf", layers=4, embedding=256, ff=1024)
    ram, grown = compare("encoder", Start(str(path), OPTIONS, capabilities=EMBED))
    assert ram.cache_bytes == 0
    assert_close(ram.total_bytes, grown)


def test_adapters_are_weights(small: Path, tmp_path: Path) -> None:
    pair = random_pair(384, 384, rank=64)
    names = [f"blk.{layer}.attn_output.weight" for layer in range(6)]
    adapter = write_lora(tmp_path / "a.gguf", dict.fromkeys(names, pair))
    plain, _ = compare("no adapter", Start(str(small), OPTIONS))
    options = LoadOptions(threads=2, lora=(LoraAdapter(str(adapter)),) * 2)
    ram, grown = compare("two adapters", Start(str(small), options))
    added = 2 * 6 * sum(matrix.nbytes for matrix in pair)
    assert ram.weights_bytes - plain.weights_bytes == added
    assert_close(ram.total_bytes, grown)


def test_a_dry_load_takes_nothing(tmp_path: Path) -> None:
    path = write_synthetic(tmp_path / "m.gguf", **SIZES["80 MB"])
    start_llama()
    files = read_model_files(path)
    before = resident_bytes()
    blank = BlankVocabulary(files.first.architecture, files.first.vocab_size or 0)
    model = LlamaModel.load(files.paths, lambda _: True, plan_model(Start("", OPTIONS)).dry(blank))
    grown = resident_bytes() - before
    assert grown < files.total_bytes / 4
    assert sum(files.tensor_bytes.values()) == model.weight_bytes
    model.close()


# Devices: llama.cpp's own words for a machine with GPUs.

GPU_LOAD = [
    "load_tensors: layer   0 assigned to device CPU, is_swa = 0",
    "load_tensors: layer   1 assigned to device CUDA0, is_swa = 0",
    "load_tensors: layer   2 assigned to device CUDA1, is_swa = 0",
    "load_tensors: layer   3 assigned to device CUDA1, is_swa = 0",
]
GPU_CONTEXT = [
    "llama_context:  CUDA_Host  output buffer size =     0.58 MiB",
    "llama_kv_cache: layer   0: dev = CPU",
    "llama_kv_cache: layer   1: dev = CUDA0",
    "llama_kv_cache: layer   2: dev = CUDA1",
    "llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB",
    "llama_kv_cache: size =  300.00 MiB (  8192 cells,   3 layers,  8/1 seqs), K (f16):  150.00 MiB"
    ", V (f16):  150.00 MiB",
    "sched_reserve:      CUDA0 compute buffer size =   100.00 MiB",
    "sched_reserve:      CUDA1 compute buffer size =    50.00 MiB",
    "sched_reserve:  CUDA_Host compute buffer size =    10.00 MiB",
]
TENSORS = {
    "token_embd.weight": 1000,
    "output_norm.weight": 10,
    "blk.0.attn_q.weight": 1,
    "blk.1.attn_q.weight": 2,
    "blk.2.attn_q.weight": 4,
}


def test_gpus_get_what_is_theirs() -> None:
    footprint = Footprint()
    footprint.add_weights(GPU_LOAD, TENSORS | {"output.weight": 100})
    footprint.add_context(GPU_CONTEXT, ram_bytes=7)
    assert footprint.devices == {
        "RAM": Bytes(weights=1001, cache=100 * MIB, compute=10 * MIB + 7),
        "CUDA0": Bytes(weights=2, cache=100 * MIB, compute=100 * MIB),
        "CUDA1": Bytes(weights=114, cache=100 * MIB, compute=50 * MIB),
    }


def test_a_token_table_that_is_the_output_too_is_on_both_sides() -> None:
    footprint = Footprint()
    footprint.add_weights(GPU_LOAD, TENSORS)
    assert footprint.ram.weights == 1001
    assert footprint.devices["CUDA1"].weights == 1014


def test_what_recurrent_and_sliding_models_say_is_understood() -> None:
    footprint = Footprint()
    log = [
        "llama_memory_recurrent, layer   0: dev = CPU",
        "llama_memory_recurrent: size =    2.00 MiB (     8 cells,   1 layers,  8 seqs  0 rs_seq),"
        " R (f32):    1.00 MiB, S (f32):    1.00 MiB, P (f32):    0.00 MiB",
        "llama_kv_cache: layer   1: dev = CPU",
        "llama_kv_cache: size =    3.00 MiB (   512 cells,   1 layers,  8/1 seqs), K (f16): ...",
        "llama_kv_cache: layer   2: dev = CPU",
        "llama_kv_cache: size =    4.00 MiB (   512 cells,   1 layers,  8/1 seqs), K (f16): ...",
    ]
    footprint.add_context(log, ram_bytes=0)
    assert footprint.ram.cache == 9 * MIB
