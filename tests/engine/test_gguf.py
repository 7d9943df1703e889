"""The header check: good files give their facts, every bad one is an error that says why."""

import os
import struct
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.gguf import GgufHeader, read_header, read_model_files
from corral_server.engine.gguf_cursor import MAX_ARRAY_ELEMENTS, MAX_STRING_BYTES
from corral_server.engine.gguf_tensor import TENSOR_TYPES
from corral_server.errors import ModelFileInvalid, ModelFileNotFound
from raw_gguf import (
    ARRAY,
    F32,
    Q4_0,
    STRING,
    UINT32,
    UINT64,
    RawGguf,
    raw_architecture,
    raw_array,
    raw_key,
    raw_string,
    raw_tensor,
    raw_text,
    raw_u32,
)
from tiny_gguf import (
    AbortPoint,
    write_llama,
    write_model_that_aborts,
    write_model_that_fails_to_load,
    write_split,
)

HUGE = 2**64 - 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, ...]:
    return write_split(tmp_path)


def read_bytes(folder: Path, content: bytes) -> GgufHeader:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return read_header(path)


def why_invalid(folder: Path, content: bytes) -> str:
    with pytest.raises(ModelFileInvalid) as caught:
        read_bytes(folder, content)
    assert caught.value.message.startswith("model.gguf: ")
    assert str(folder) not in caught.value.message
    return caught.value.message


def with_keys(*keys: bytes) -> RawGguf:
    return RawGguf(keys=[raw_architecture(), *keys])


def with_tensors(*tensors: bytes, data: bytes = bytes(32)) -> RawGguf:
    return RawGguf(tensors=tensors, data=data)


# Good files


def test_facts_of_a_model(tiny: Path) -> None:
    header = read_header(tiny)
    assert header.architecture == "llama"
    assert header.name == "tiny"
    assert (header.context_length, header.block_count, header.embedding_length) == (256, 2, 32)
    assert header.file_type == gguf.LlamaFileType.ALL_F32
    assert header.chat_template is not None and "<|im_start|>" in header.chat_template
    assert (header.split_no, header.split_count) == (0, 1)


def test_facts_are_those_of_the_gguf_package(tiny: Path) -> None:
    header, reader = read_header(tiny), gguf.GGUFReader(tiny)
    assert header.tensor_count == len(reader.tensors)
    assert header.parameter_count == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert header.file_bytes == tiny.stat().st_size
    assert header.vocab_size == len(reader.fields["tokenizer.ggml.tokens"].data)
    assert header.context_length == reader.fields["llama.context_length"].contents()
    assert header.chat_template == reader.fields["tokenizer.chat_template"].contents()


@pytest.mark.parametrize("dtype", [gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.Q8_0])
def test_quantized_tensors_have_their_size(
    tmp_path: Path, dtype: gguf.GGMLQuantizationType
) -> None:
    path = write_llama(tmp_path / "quantized.gguf", dtype=dtype)
    assert read_header(path).parameter_count > 10_000
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ModelFileInvalid, match="cut short: 1 of"):
        read_header(path)


def test_every_type_of_the_gguf_package_is_known() -> None:
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    ours = {number: (elements, size) for number, (_, elements, size) in TENSOR_TYPES.items()}
    q8_1 = gguf.GGMLQuantizationType.Q8_1
    assert (sizes.pop(q8_1), ours[q8_1]) == ((32, 40), (32, 36))  # the package is wrong here
    assert sizes.items() <= ours.items()


def test_a_header_without_tensors_or_facts_is_enough(tmp_path: Path) -> None:
    header = read_bytes(tmp_path, RawGguf().to_bytes())
    assert (header.tensor_count, header.vocab_size, header.name) == (0, None, None)


def test_version_2_is_read(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, RawGguf(version=2).to_bytes()).version == 2


def test_own_alignment_moves_the_data(tmp_path: Path) -> None:
    keys = [raw_architecture(), raw_u32(b"general.alignment", 8)]
    tensors = [raw_tensor(b"a", [3]), raw_tensor(b"b", [2], offset=16)]
    raw = RawGguf(keys=keys, tensors=tensors, data=bytes(24))
    assert read_bytes(tmp_path, raw.to_bytes()).parameter_count == 5


@pytest.mark.parametrize("at", ["load", "context", "decode"])
def test_models_that_abort_llama_cpp_have_sound_headers(tmp_path: Path, at: AbortPoint) -> None:
    path = write_model_that_aborts(tmp_path / "aborts.gguf", at)
    assert read_header(path).architecture == "llama"


def test_a_model_of_an_unknown_architecture_has_a_sound_header(tmp_path: Path) -> None:
    path = write_model_that_fails_to_load(tmp_path / "fails.gguf")
    assert read_header(path).architecture == "unheard-of"


# Bad headers

BAD_HEADERS = {
    "magic": (RawGguf(magic=b"GGML"), "no GGUF file"),
    "html": (RawGguf(magic=b"<!DO"), "starts with b'<!DO'"),
    "version-0": (RawGguf(version=0), "version 0"),
    "version-1": (RawGguf(version=1), "version 1"),
    "version-99": (RawGguf(version=99), "version 99"),
    "big-endian": (RawGguf(version=0x03000000), "big-endian"),
    "tensor-count": (RawGguf(num_tensors=HUGE), f"{HUGE} tensors"),
    "tensor-count-over-limit": (RawGguf(num_tensors=65537), "65537 tensors"),
    "key-count": (RawGguf(num_keys=HUGE), f"{HUGE} keys"),
    "key-missing": (RawGguf(num_keys=2), "cut short"),
    "tensor-missing": (RawGguf(num_tensors=1), "cut short"),
    "key-length": (with_keys(struct.pack("<Q", HUGE)), "bytes in a key"),
    "key-length-over-limit": (with_keys(raw_u32(b"k" * 65536, 1)), "65536 bytes in a key"),
    "key-longer-than-file": (with_keys(struct.pack("<Q", 5000)), "cut short"),
    "key-not-text": (with_keys(raw_u32(b"\xff", 1)), "not UTF-8"),
    "key-empty": (with_keys(raw_u32(b"", 1)), "empty key"),
    "key-twice": (with_keys(raw_u32(b"k", 1), raw_u32(b"k", 2)), "'k' twice"),
    "value-type": (with_keys(raw_key(b"k", 13, bytes(8))), "unknown type 13"),
    "value-type-huge": (with_keys(raw_key(b"k", 2**32 - 1, bytes(8))), "unknown type"),
    "string-length": (
        with_keys(raw_key(b"k", STRING, struct.pack("<Q", MAX_STRING_BYTES + 1))),
        "bytes in the value of 'k'",
    ),
    "string-longer-than-file": (
        with_keys(raw_key(b"k", STRING, struct.pack("<Q", 5000))),
        "cut short",
    ),
    "array-count": (with_keys(raw_array(b"k", UINT32, HUGE)), f"{HUGE} elements"),
    "array-count-over-limit": (
        with_keys(raw_array(b"k", UINT32, MAX_ARRAY_ELEMENTS + 1)),
        "elements in 'k'",
    ),
    "array-longer-than-file": (with_keys(raw_array(b"k", UINT32, 5000)), "cut short"),
    "array-type": (with_keys(raw_array(b"k", 99, 1, bytes(8))), "unknown type 99"),
    "array-of-arrays": (with_keys(raw_array(b"k", ARRAY, 1, bytes(16))), "within an array"),
    "strings-longer-than-file": (with_keys(raw_array(b"k", STRING, 5000)), "cut short"),
    "last-string-longer-than-file": (
        with_keys(raw_array(b"k", STRING, 1, struct.pack("<Q", 5000))),
        "cut short",
    ),
    "string-length-in-array": (
        with_keys(raw_array(b"k", STRING, 1, struct.pack("<Q", HUGE))),
        f"claims {HUGE} bytes",
    ),
    "alignment-0": (with_keys(raw_u32(b"general.alignment", 0)), "not a power of two"),
    "alignment-3": (with_keys(raw_u32(b"general.alignment", 3)), "not a power of two"),
    "alignment-type": (
        with_keys(raw_key(b"general.alignment", UINT64, struct.pack("<Q", 32))),
        "has to be UINT32",
    ),
    "no-architecture": (RawGguf(keys=[]), "architecture"),
    "architecture-empty": (RawGguf(keys=[raw_text(b"general.architecture", b"")]), "architecture"),
    "architecture-type": (RawGguf(keys=[raw_u32(b"general.architecture", 1)]), "a string"),
    "no-blocks": (with_keys(raw_u32(b"llama.block_count", 0)), "0 blocks"),
    "too-many-blocks": (with_keys(raw_u32(b"llama.block_count", 513)), "513 blocks"),
    "context-length-type": (with_keys(raw_text(b"llama.context_length", b"1")), "an integer"),
    "context-length-negative": (
        with_keys(raw_key(b"llama.context_length", 5, struct.pack("<i", -1))),
        "is -1",
    ),
    "template-type": (with_keys(raw_u32(b"tokenizer.chat_template", 1)), "a string"),
    "vocabulary-type": (with_keys(raw_u32(b"tokenizer.ggml.tokens", 1)), "an array"),
    "split-type": (with_keys(raw_u32(b"split.no", 0)), "has to be UINT16"),
    "split-beyond-count": (
        with_keys(raw_key(b"split.no", 2, struct.pack("<H", 3))),
        "shard 4 of 1",
    ),
    "tensor-name-of-64": (with_tensors(raw_tensor(b"n" * 64)), "bytes in a tensor name"),
    "tensor-twice": (with_tensors(raw_tensor(), raw_tensor(offset=32)), "'t' twice"),
    "dimensions-5": (with_tensors(raw_tensor(shape=[1] * 5)), "5 dimensions"),
    "dimension-0": (with_tensors(raw_tensor(shape=[8, 0])), "impossible shape"),
    "dimension-negative": (with_tensors(raw_tensor(shape=[HUGE])), "impossible shape"),
    "dimensions-overflow": (with_tensors(raw_tensor(shape=[2**32, 2**32])), "impossible shape"),
    "size-overflow": (with_tensors(raw_tensor(shape=[2**62])), "cut short"),
    "tensor-type-unknown": (with_tensors(raw_tensor(tensor_type=43)), "unknown type 43"),
    "tensor-type-removed": (with_tensors(raw_tensor(tensor_type=4)), "unknown type 4"),
    "tensor-type-huge": (with_tensors(raw_tensor(tensor_type=2**32 - 1)), "unknown type"),
    "row-not-of-blocks": (
        with_tensors(raw_tensor(shape=[33], tensor_type=Q4_0)),
        "not a multiple of 32",
    ),
    "offset-misaligned": (with_tensors(raw_tensor(offset=4)), "its place is 0"),
    "offset-huge": (with_tensors(raw_tensor(offset=HUGE - 31)), "its place is 0"),
    "tensors-overlap": (
        with_tensors(raw_tensor(b"a"), raw_tensor(b"b", offset=0)),
        "'b' is said to lie at byte 0 of the data, its place is 32",
    ),
    "data-missing": (with_tensors(raw_tensor(), data=b""), "cut short: 32 of 160 bytes"),
    "data-one-byte-short": (with_tensors(raw_tensor(), data=bytes(31)), "cut short: 1 of"),
    "last-tensor-missing": (
        with_tensors(raw_tensor(b"a"), raw_tensor(b"b", offset=32)),
        "cut short: 32 of",
    ),
}


@pytest.mark.parametrize(("raw", "why"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_bad_header_is_refused(tmp_path: Path, raw: RawGguf, why: str) -> None:
    assert why in why_invalid(tmp_path, raw.to_bytes())


def test_message_quotes_no_more_than_the_start_of_a_long_key(tmp_path: Path) -> None:
    key = raw_u32(b"k" * 5000, 1)
    assert len(why_invalid(tmp_path, with_keys(key, key).to_bytes())) < 200


def test_a_header_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral_server.engine.gguf_header.MAX_HEADER_BYTES", 64)
    raw = with_keys(raw_text(b"k", b"x" * 100))
    assert "header is longer than" in why_invalid(tmp_path, raw.to_bytes())


def test_every_truncation_is_refused(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    for length in range(512, len(content), 512):
        assert "cut short" in why_invalid(tmp_path, content[:length])


HEADER = replace(
    with_tensors(raw_tensor(b"a"), raw_tensor(b"b", [32, 2], Q4_0, offset=32), data=bytes(96)),
    keys=[
        raw_architecture(),
        raw_u32(b"general.alignment", 32),
        raw_u32(b"llama.block_count", 2),
        raw_array(b"tokenizer.ggml.tokens", STRING, 2, raw_string(b"a") + raw_string(b"bc")),
        raw_array(b"tokenizer.ggml.scores", F32, 2, bytes(8)),
    ],
).to_bytes()


@given(flips=st.dictionaries(st.integers(0, len(HEADER) - 1), st.integers(1, 255), min_size=1))
def test_flipped_bytes_give_a_header_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, flips: dict[int, int]
) -> None:
    content = bytearray(HEADER)
    for position, mask in flips.items():
        content[position] ^= mask
    path = tmp_path_factory.getbasetemp() / "flipped.gguf"
    path.write_bytes(content)
    try:
        assert read_header(path).tensor_count <= 2
    except ModelFileInvalid as error:
        assert error.message.startswith("flipped.gguf: ")


@given(content=st.binary(max_size=200))
def test_any_bytes_behind_the_magic_give_a_header_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + content)
    try:
        read_header(path)
    except ModelFileInvalid as error:
        assert error.message.startswith("random.gguf: ")


# Things that are no files


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelFileNotFound, match=r"^gone\.gguf: there is no such file$"):
        read_header(tmp_path / "gone.gguf")


def test_file_below_a_file_is_not_found(tiny: Path) -> None:
    with pytest.raises(ModelFileNotFound):
        read_header(tiny / "model.gguf")


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="is a directory"):
        read_header(tmp_path)


def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileInvalid, match="device, pipe or socket"):
        read_header(tmp_path / "pipe.gguf")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_device_is_refused(device: str) -> None:
    with pytest.raises(ModelFileInvalid, match="device, pipe or socket"):
        read_header(Path(device))


def test_empty_file_is_refused(tmp_path: Path) -> None:
    assert "it is empty" in why_invalid(tmp_path, b"")


def test_symlink_loop_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop.gguf"
    loop.symlink_to(loop)
    with pytest.raises(ModelFileInvalid, match="cannot be read"):
        read_header(loop)


def test_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ModelFileInvalid, match="cannot be read"):
        read_header(Path("a\0b.gguf"))


def test_symlink_to_a_model_is_followed(tiny: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(tiny)
    assert read_header(link).architecture == "llama"


# Split sets


def test_one_file_is_a_model(tiny: Path) -> None:
    files = read_model_files(tiny)
    assert files.paths == (tiny,)
    assert files.total_bytes == tiny.stat().st_size


def test_first_shard_finds_the_others(shards: tuple[Path, ...], tiny: Path) -> None:
    files, whole = read_model_files(shards[0]), read_header(tiny)
    assert files.paths == shards
    assert files.total_bytes == sum(shard.stat().st_size for shard in shards)
    assert files.first.architecture == "llama"
    assert (files.tensor_count, files.parameter_count) == (
        whole.tensor_count,
        whole.parameter_count,
    )


def test_a_later_shard_names_the_first(shards: tuple[Path, ...]) -> None:
    with pytest.raises(ModelFileInvalid, match=r"give the first, tiny-00001-of-00003\.gguf"):
        read_model_files(shards[1])


def test_a_missing_shard_is_named(shards: tuple[Path, ...]) -> None:
    shards[2].unlink()
    with pytest.raises(ModelFileNotFound, match=r"^tiny-00003-of-00003\.gguf: this shard is"):
        read_model_files(shards[0])


def test_a_truncated_shard_is_named(shards: tuple[Path, ...]) -> None:
    os.truncate(shards[1], shards[1].stat().st_size - 1)
    with pytest.raises(ModelFileInvalid, match=r"^tiny-00002-of-00003\.gguf: it is cut short"):
        read_model_files(shards[0])


def test_shards_in_wrong_order_are_refused(shards: tuple[Path, ...]) -> None:
    shards[1].write_bytes(shards[2].read_bytes())
    with pytest.raises(ModelFileInvalid, match="says it is shard 3 of 3"):
        read_model_files(shards[0])


@pytest.mark.parametrize("name", ["renamed.gguf", "tiny-00001-of-00002.gguf"])
def test_a_shard_has_to_keep_its_name(shards: tuple[Path, ...], name: str) -> None:
    with pytest.raises(ModelFileInvalid, match=r"named like \w+-00001-of-00003\.gguf"):
        read_model_files(shards[0].rename(shards[0].with_name(name)))
