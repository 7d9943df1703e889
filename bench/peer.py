"""llama-server and llama-batched-bench, out of the source release that Corral's engine is built of.

`python -m bench.peer` builds them once into .cache/peer/. Same llama.cpp, same compiler, same
flags (optimized, for this processor, with OpenMP): what is left to compare is the server. Its web
page is neither fetched nor built.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from rich.console import Console

from bench.shapes import ROOT

PROGRAMS = ("llama-server", "llama-batched-bench", "llama-bench")
_FOLDER = ROOT / ".cache/peer"
_STAMP = _FOLDER / "built"
_RELEASE = re.compile(
    r"^llama-cpp-python==(?P<version>\S+) \\\n(?:    --hash=\S+(?: \\)?\n)+", re.M
)
# As llama-cpp-python builds it, and nothing that these programs do not need.
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)


def program(name: str) -> Path:
    """Path of one of PROGRAMS. Ends this process with a hint where it was not built."""
    path = _FOLDER / "build/bin" / name
    if not _STAMP.exists() or not path.exists():
        sys.exit("the peer is not built: make bench-peer")
    return path


def build(flags: str) -> None:
    """Builds PROGRAMS with `flags` of CMake, unless they were built so before. Takes minutes."""
    console = Console(highlight=False)
    release = _release()
    stamp = hashlib.sha256("\n".join((release, flags, *_OPTIONS)).encode()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == stamp:
        console.print(f"{', '.join(PROGRAMS)} are there")
        return
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    console.print("==> fetching the source release of llama-cpp-python")
    source = _fetch(release)
    console.print("==> compiling llama-server, which takes minutes")
    _compile(source, flags)
    shutil.rmtree(source)
    _STAMP.write_text(stamp)


def _release() -> str:
    """The lines of requirements.lock that name the source release and its hash."""
    release = _RELEASE.search((ROOT / "requirements.lock").read_text())
    assert release is not None, "requirements.lock does not name llama-cpp-python"
    return release.group()


def _fetch(release: str) -> Path:
    """Downloads the release, checks its hash, unpacks it; the folder of llama-cpp-python."""
    requirements = _FOLDER / "release.txt"
    requirements.write_text(release)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    download = (*pip, "download", "--no-deps", "--no-binary=llama-cpp-python", "--require-hashes")
    subprocess.run([*download, "--dest", _FOLDER, "--requirement", requirements], check=True)
    (archive,) = _FOLDER.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(_FOLDER, filter="data")
    archive.unlink()
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def _compile(source: Path, flags: str) -> None:
    folder, llama_cpp = str(_FOLDER / "build"), str(source / "vendor/llama.cpp")
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count())
    # Where CMake is not installed, the extra `bench` has brought it.
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}"}
    configure = ["cmake", "-S", llama_cpp, "-B", folder, *_OPTIONS, *shlex.split(flags)]
    subprocess.run(configure, check=True, env=environment)
    compile_programs = ["cmake", "--build", folder, "--parallel", jobs, "--target", *PROGRAMS]
    subprocess.run(compile_programs, check=True, env=environment)


if __name__ == "__main__":
    build(os.environ.get("CMAKE_ARGS", ""))
