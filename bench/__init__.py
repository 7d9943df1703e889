"""Measures what Corral promises, and prints it."""
