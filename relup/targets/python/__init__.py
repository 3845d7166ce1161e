"""A Python node: the transaction runs inside it, its clients talk to it over a Unix socket."""
