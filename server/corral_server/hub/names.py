"""Names on the Hub: which are refused, and what a file's name says of the model in it."""

import re
from dataclasses import dataclass

from corral_server.config import HubSource
from corral_server.errors import FieldViolation, InvalidFields

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_QUANTIZATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.gguf", re.DOTALL)
_MAX_PATH = 1024
_MAX_SHARDS = 1024

# As llama.cpp and those who convert models write them: Q8_0, Q4_K_M, UD-Q4_K_XL, IQ2_XXS, BF16.
_QUANTIZED = re.compile(
    r"(?<![A-Z0-9])"
    r"(?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_[A-Z0-9]+)*|NVFP4|BF16|FP?16|FP?32)"
    r"(?![A-Z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of a split model: the `number`-th, counted from 1, of `total`."""

    stem: str
    number: int
    total: int

    @classmethod
    def parse(cls, file: str) -> "Shard | None":
        """None for a file that is a model by itself."""
        found = _SHARD.fullmatch(file)
        if found is None:
            return None
        return cls(found["stem"], int(found["number"]), int(found["total"]))

    @property
    def is_possible(self) -> bool:
        return 1 <= self.number <= self.total <= _MAX_SHARDS

    def files(self) -> tuple[str, ...]:
        """The whole set, in order."""
        return tuple(
            f"{self.stem}-{number:05}-of-{self.total:05}.gguf"
            for number in range(1, self.total + 1)
        )


def all_files(file: str) -> tuple[str, ...]:
    """The files of the model whose first one is `file`."""
    shard = Shard.parse(file)
    return shard.files() if shard else (file,)


def is_commit(revision: str) -> bool:
    """Whether `revision` names its content for ever."""
    return _COMMIT.fullmatch(revision) is not None


def quantization_of(file: str) -> str:
    """The quantization that `file`'s name, or else that of its directory, tells; or nothing."""
    for part in reversed(file.split("/")):
        if found := _QUANTIZED.findall(part.removesuffix(".gguf")):
            return str(found[-1]).upper()
    return ""


def is_safe_path(path: str) -> bool:
    """Whether `path`, appended to a directory, stays beneath it on every platform."""
    return (
        0 < len(path) <= _MAX_PATH
        and path.isprintable()
        and "\\" not in path
        and not re.match(r"[A-Za-z]:", path)
        and not any(part in ("", ".", "..") for part in path.split("/"))
    )


def check_source(source: HubSource) -> None:
    """Raises InvalidFields with everything that is wrong with the names in `source`."""
    _raise_any(_of_repo(source.repo, source.revision) + _of_model(source))


def check_repo(repo: str, revision: str) -> None:
    """Raises InvalidFields with what is wrong with these names."""
    _raise_any(_of_repo(repo, revision))


def _raise_any(violations: list[FieldViolation]) -> None:
    if violations:
        raise InvalidFields.of(*violations)


def _of_repo(repo: str, revision: str) -> list[FieldViolation]:
    violations = []
    if not _REPO.fullmatch(repo) or "--" in repo or ".." in repo or repo.endswith(".git"):
        violations.append(FieldViolation("repo", "must be OWNER/NAME of letters, digits, . _ -"))
    if not _REVISION.fullmatch(revision) or not is_safe_path(revision) or ".." in revision:
        violations.append(FieldViolation("revision", "must be a branch, tag or commit"))
    return violations


def _of_model(source: HubSource) -> list[FieldViolation]:
    if bool(source.file) == bool(source.quantization):
        why = "exactly one of file and quantization must be set"
        return [FieldViolation("quantization" if source.file else "file", why)]
    violations = []
    if source.file and (why := _fault_of_file(source.file)):
        violations.append(FieldViolation("file", why))
    if source.quantization and not _QUANTIZATION.fullmatch(source.quantization):
        violations.append(FieldViolation("quantization", "must be letters, digits, . _ -"))
    if source.force and source.offline:
        violations.append(FieldViolation("force", "cannot download again while offline"))
    return violations


def _fault_of_file(file: str) -> str:
    if not is_safe_path(file):
        return "must be a path inside the repository, without .. or backslash"
    if not file.endswith(".gguf"):
        return "must end in .gguf"
    shard = Shard.parse(file)
    if shard and not shard.is_possible:
        return "is no part of a split model: its number is out of range"
    if shard and shard.number != 1:
        return f"must be the first of its split model: {shard.files()[0]}"
    return ""
