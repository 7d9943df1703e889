"""The models among the files of a repository, and which of them was meant. Knows no network."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from corral_server.config import HubSource
from corral_server.errors import FieldViolation, HubNotFound, InvalidFields
from corral_server.hub.messages import HubFile
from corral_server.hub.names import Shard, all_files, is_safe_path, quantization_of

_MAX_NAMED = 12


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file of a commit. `etag` is the SHA-256 of its content, or, of a file that git holds
    itself, the SHA-1 of its git object; the cache knows it by that."""

    path: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class RepoModel:
    """The files of one model, in order; more than one if it is split."""

    files: tuple[RepoFile, ...]

    @property
    def name(self) -> str:
        return self.files[0].path

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def quantization(self) -> str:
        return quantization_of(self.name)

    @property
    def is_projector(self) -> bool:
        """A vision or audio projector goes with a model and is none; it shares its quantization."""
        return self.name.rpartition("/")[2].lower().startswith("mmproj")

    def entry(self) -> HubFile:
        """It, as a listing shows it."""
        return HubFile(
            file=self.name,
            size_bytes=self.size_bytes,
            quantization=self.quantization,
            shards=len(self.files),
        )


def models_among(files: Iterable[RepoFile]) -> list[RepoModel]:
    """The models, in order of size. A split model that is not complete is none."""
    by_path = {file.path: file for file in files if _may_be_model(file.path)}
    models = []
    for path in by_path:
        names = all_files(path)
        if names[0] == path and all(name in by_path for name in names):
            models.append(RepoModel(tuple(by_path[name] for name in names)))
    return sorted(models, key=lambda model: (model.size_bytes, model.name))


def choose(models: list[RepoModel], source: HubSource) -> RepoModel:
    """The one `source` means. Raises HubNotFound or, for several, InvalidFields; both name what
    there is."""
    return _by_file(models, source) if source.file else _by_quantization(models, source)


def _may_be_model(path: str) -> bool:
    shard = Shard.parse(path)
    is_possible = shard is None or shard.is_possible
    return path.endswith(".gguf") and is_safe_path(path) and is_possible


def _by_file(models: list[RepoModel], source: HubSource) -> RepoModel:
    names = [model.name for model in models]
    if source.file in names:
        return models[names.index(source.file)]
    near = get_close_matches(source.file, names, n=3, cutoff=0.4) or names
    raise HubNotFound(
        f"{source.repo} at {source.revision} has no model {source.file!r}; it has {_some(near)}",
        missing="file",
    )


def _by_quantization(models: list[RepoModel], source: HubSource) -> RepoModel:
    models = [model for model in models if not model.is_projector]
    wanted = source.quantization.upper()
    found = [model for model in models if model.quantization == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        names = _some([model.name for model in found])
        why = f"{source.quantization} is the quantization of {names}; name the file"
        raise InvalidFields.of(FieldViolation("quantization", why))
    known = sorted({model.quantization for model in models} - {""})
    raise HubNotFound(
        f"{source.repo} at {source.revision} has no model of quantization {source.quantization}; "
        f"it has {_some(known)}",
        missing="file",
    )


def _some(names: list[str]) -> str:
    """`names` as a sentence can hold them."""
    if not names:
        return "no GGUF model at all"
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
