"""What the server shows to callers who want to know that it is the right one."""

import ssl
from pathlib import Path

import grpc

from corral_server.errors import ConfigInvalid


def server_credentials(cert: str, key: str) -> grpc.ServerCredentials:
    """Of a certificate, with what its authority needs behind it, and its key: paths of PEM files.
    Raises ConfigInvalid."""
    _check(cert, key)
    pair = (Path(key).read_bytes(), Path(cert).read_bytes())
    return grpc.ssl_server_credentials([pair])


def _check(cert: str, key: str) -> None:
    """gRPC takes any bytes and fails later, without a word about why."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        why = f"tls_cert {cert} and tls_key {key} are not a certificate and its key"
        raise ConfigInvalid(f"{why}, in PEM and without a password") from error
    except OSError as error:
        why = f"tls_cert {cert} or tls_key {key} cannot be read: {error.strerror}"
        raise ConfigInvalid(why) from error
