"""What a model will take, found without taking it: a dry run of llama.cpp.

llama.cpp lays everything out and allocates none of the large buffers. Sizes it tells through its
log only, layer by layer or buffer by buffer; the weights and the outputs are computed.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corral_server.llama import library
from corral_server.llama.context import LlamaContext
from corral_server.llama.context_options import ContextOptions
from corral_server.llama.devices import RAM
from corral_server.llama.model import LlamaModel
from corral_server.llama.process import resident_bytes

_MIB = 1024 * 1024

# What llama.cpp takes for a vocabulary, measured with 30,000 to 256,000 tokens of these kinds: a
# table of all code points, for a token to be found both ways, and for a merge of byte pairs.
_CODE_POINTS_BYTES = 2 * _MIB
_TOKEN_BYTES = 160
_MERGE_BYTES = 120
MEASURED_TOKENIZERS = ("gpt2", "llama", "bert")
_FLOAT_BYTES = 4
_OUTPUT_TENSORS = ("output.", "output_norm.")

_WEIGHT_LAYER = re.compile(r"load_tensors: layer +(\d+) assigned to device (\S+?),")
_CACHE_LAYER = re.compile(r"(?:kv_cache|memory_recurrent)\w*[:,] layer +\d+: dev = (\S+)")
_CACHE_BYTES = re.compile(r"(?:kv_cache|memory_recurrent)\w*: size = +([\d.]+) MiB")
_COMPUTE_BYTES = re.compile(r": +(\S+) compute buffer size = +([\d.]+) MiB")
_IS_CAUSAL = re.compile(r"llama_context: causal_attn += (\d)")
_HOST_BUFFER = re.compile(r"CPU|.*_Host$|BLAS|AMX")


@dataclass(slots=True)
class Bytes:
    """What is taken of one device."""

    weights: int = 0
    cache: int = 0
    compute: int = 0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What is taken, by device; RAM is always among them."""

    devices: defaultdict[str, Bytes] = field(
        default_factory=lambda: defaultdict(Bytes, {RAM: Bytes()})
    )

    @property
    def ram(self) -> Bytes:
        return self.devices[RAM]

    def add_weights(self, log: Sequence[str], tensors: Mapping[str, int]) -> None:
        """Takes in `tensors`, bytes by name, from the log of a model's dry load.

        What belongs to no layer stays in RAM, but for the output, which is the layer behind the
        last one.
        """
        device_of = {
            int(found[1]): found[2]
            for line in log
            if (found := _WEIGHT_LAYER.search(line)) is not None
        }
        last = max(device_of, default=-1)
        for name, size in tensors.items():
            layer = last if name.startswith(_OUTPUT_TENSORS) else _layer(name)
            self.devices[_device(device_of.get(layer, RAM))].weights += size
        output_device = _device(device_of.get(last, RAM))
        if "output.weight" not in tensors and output_device != RAM:
            # The token table is the output too, and is needed on both sides.
            self.devices[output_device].weights += tensors.get("token_embd.weight", 0)

    def add_vocabulary(self, *, tokens: int, merges: int) -> None:
        """Takes in a vocabulary of MEASURED_TOKENIZERS."""
        self.ram.compute += _CODE_POINTS_BYTES + tokens * _TOKEN_BYTES + merges * _MERGE_BYTES

    def add_context(self, log: Sequence[str], ram_bytes: int) -> None:
        """Takes in what the log of a context's dry run says, and what it does not say."""
        layers: Counter[str] = Counter()
        cache_bytes = 0
        for line in log:
            if (found := _CACHE_LAYER.search(line)) is not None:
                layers[_device(found[1])] += 1
            elif (found := _CACHE_BYTES.search(line)) is not None:
                cache_bytes += _bytes(found[1])
            elif (found := _COMPUTE_BYTES.search(line)) is not None:
                self.devices[_device(found[1])].compute += _bytes(found[2])
        for device, count in layers.items():
            self.devices[device].cache += cache_bytes * count // layers.total()
        self.ram.compute += ram_bytes


@dataclass(frozen=True, slots=True)
class DryContext:
    """What a dry run found out about a context. `is_causal`: no token sees a later one."""

    has_cache: bool
    is_causal: bool


def measure_context(model: LlamaModel, options: ContextOptions, footprint: Footprint) -> DryContext:
    """Adds what a context of a dry `model` would take to `footprint`.

    The small things a context is made of do get allocated: they are measured. So are the first of
    its outputs, which must not count twice. Raises as LlamaContext does.
    """
    before = resident_bytes()
    with library.overhear() as log:
        context = LlamaContext(model, options)
    try:
        row_bytes = _row_bytes(model, options)
        small = resident_bytes() - before - options.sequences * row_bytes
        footprint.add_context(log, options.num_outputs * row_bytes + max(small, 0))
        return DryContext(context.has_cache, _is_causal(log))
    finally:
        context.close()


def _row_bytes(model: LlamaModel, options: ContextOptions) -> int:
    """An output: logits always, and a vector where those are wanted."""
    row = model.vocabulary.size + (model.embedding_size if options.embeds else 0)
    return row * _FLOAT_BYTES


def _is_causal(log: Sequence[str]) -> bool:
    found = (_IS_CAUSAL.search(line) for line in log)
    return next((match[1] == "1" for match in found if match is not None), True)


def _layer(tensor: str) -> int:
    """The layer of a tensor named like blk.7.attn_q.weight; -1 for one of no layer."""
    block, _, rest = tensor.partition(".")
    number = rest.partition(".")[0]
    return int(number) if block == "blk" and number.isdecimal() else -1


def _device(buffer: str) -> str:
    return RAM if _HOST_BUFFER.fullmatch(buffer) else buffer


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * _MIB)
