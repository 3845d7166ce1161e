"""A `code_change` drafted from what live states look like, against what the newer release's text says of states."""
