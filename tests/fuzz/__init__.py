"""Inputs that nobody means well with, by the million: `python -m tests.fuzz --help`."""
