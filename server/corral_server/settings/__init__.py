"""Reads what a server is told: a file, the environment, flags."""

# The variable that names the file.
CONFIG = "CORRAL_CONFIG"

LOG_LEVELS = ("debug", "info", "warning", "error")
