"""Two servers that hold accounts."""
