"""An authority for one run, with a server's certificate that it signed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_DAYS = "2"
_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True, slots=True)
class Authority:
    """Paths of PEM files: the authority's certificate, and a server's with its key."""

    ca: Path
    cert: Path
    key: Path


def make_authority(directory: Path) -> Authority:
    """Writes them to `directory`. Needs the command openssl; raises FileNotFoundError without."""
    made = Authority(directory / "ca.pem", directory / "cert.pem", directory / "key.pem")
    ca_key, request, names = (directory / name for name in ("ca-key.pem", "server.csr", "names"))
    names.write_text(_NAMES)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        "req", "-x509", *new_key, "-keyout", ca_key, "-out", made.ca, "-days", _DAYS,
        "-subj", "/CN=Corral test authority",
    )  # fmt: skip
    _openssl("req", *new_key, "-keyout", made.key, "-out", request, "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial",
        "-out", made.cert, "-days", _DAYS, "-extfile", names,
    )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
