"""How relup reaches a kind of node."""
