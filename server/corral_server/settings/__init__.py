"""Reads what a server is told: a file, the environment, flags."""
