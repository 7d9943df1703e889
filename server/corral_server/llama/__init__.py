"""llama.cpp: the only place with ctypes."""
