"""From two releases to one ordered script. No file, no process, no clock."""
