"""The commands of the server, as plug-ins of `corral`."""

from corral_server.cli.configuration import config
from corral_server.cli.serving import serve

__all__ = ["config", "serve"]
