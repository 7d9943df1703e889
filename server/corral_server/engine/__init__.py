"""The child process: one model, one context, one thread."""
