"""Apply a planned script to a target: a fold over its windows, with a way back."""
