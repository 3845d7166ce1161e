"""Text and values: every file that relup reads or writes passes here, and errors carry their place."""
