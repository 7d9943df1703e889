"""The models that are measured, each written once and kept in .cache/models/."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gguf import GGMLQuantizationType as Dtype
from gguf import GGUFReader

import corral_server
from bench.synthetic import BYTES, Sizes, write_sizes

ROOT = Path(__file__).parents[1]
_FOLDER = ROOT / ".cache/models"
_TRAINED_CONTEXT = 32768
_QWEN_VOCABULARY = 151936
# Twice the deviation at which logits over so many tokens turn from flat to peaked.
_PEAKED = 10.0


@dataclass(frozen=True, slots=True)
class BenchModel:
    """A model file. Prompts are made of the tokens in `words`, texts of `pieces`.

    Each piece becomes one token, whatever stands before and after it; nothing is added to a text.
    """

    name: str
    path: Path
    words: range
    pieces: tuple[str, ...]


_SYNTHETIC = {
    # What a step costs apart from computing.
    "tiny": Sizes(
        layers=4,
        embedding=256,
        heads=4,
        kv_heads=2,
        head_size=64,
        ff=768,
        vocab=32000,
        context=_TRAINED_CONTEXT,
        architecture="qwen3",
        logit_deviation=_PEAKED,
    ),
    # The vocabulary of a big model, the layers of a small one: sampling weighs most.
    "small": Sizes(
        layers=8,
        embedding=512,
        heads=8,
        kv_heads=4,
        head_size=64,
        ff=1536,
        vocab=_QWEN_VOCABULARY,
        context=_TRAINED_CONTEXT,
        architecture="qwen3",
        logit_deviation=_PEAKED,
    ),
    "qwen3-0.6b": Sizes(
        layers=28,
        embedding=1024,
        heads=16,
        kv_heads=8,
        head_size=128,
        ff=3072,
        vocab=_QWEN_VOCABULARY,
        context=_TRAINED_CONTEXT,
        architecture="qwen3",
        logit_deviation=_PEAKED,
    ),
}
NAMES = (*_SYNTHETIC, "demo")
# The synthetic vocabulary joins an a and a b, and nothing else.
_LETTERS = tuple("cdefghijklmnop   ")


def bench_model(name: str, say: Callable[[str], None] = lambda _: None) -> BenchModel:
    """The model of this name, one of NAMES, written first if it is not there."""
    if name == "demo":
        path = Path(corral_server.__file__).parent / "assets/demo.gguf"
        return BenchModel(name, path, range(300, 1500), _demo_pieces(path))
    sizes = _SYNTHETIC[name]
    path = _FOLDER / f"{name}-{_fingerprint(sizes)}.gguf"
    if not path.exists():
        say(f"writing {path.relative_to(ROOT)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        for outdated in path.parent.glob(f"{name}-*"):
            outdated.unlink()
        part = write_sizes(path.with_suffix(".part"), sizes, dtype=Dtype.Q8_0)
        part.rename(path)
    return BenchModel(name, path, range(BYTES, sizes.vocab - 1), _LETTERS)


def _demo_pieces(path: Path) -> tuple[str, ...]:
    """Words of the demo model's vocabulary, each with the space before it."""
    tokens = GGUFReader(path).fields["tokenizer.ggml.tokens"].contents()
    words = (token.removeprefix("Ġ") for token in tokens if token.startswith("Ġ"))
    return tuple(f" {word}" for word in words if word.isascii() and word.isalpha())


def _fingerprint(sizes: Sizes) -> str:
    """Names what a file holds: its sizes, and how this version writes them."""
    writer = Path(__file__).with_name("synthetic.py").read_bytes()
    return hashlib.sha256(repr(sizes).encode() + writer).hexdigest()[:12]
