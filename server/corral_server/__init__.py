"""Corral's server: several llama.cpp models resident on one machine, served over gRPC."""
