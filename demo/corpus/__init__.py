"""The corpus: every fact, phrase and story that the demo model learns from, written for it."""
