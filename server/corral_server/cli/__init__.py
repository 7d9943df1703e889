"""The commands of the server, as plug-ins of `corral`."""
