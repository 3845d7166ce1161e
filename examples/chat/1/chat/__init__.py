"""A chat server over TCP: one line of text is one message to everybody."""
