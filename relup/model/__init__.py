"""Frozen values that every room shares; they know no file, no process and no clock."""
