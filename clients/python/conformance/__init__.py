"""The scripted cases that every client performs: ../../conformance/CASES.md."""
