"""A counter that can be upgraded while it counts."""
