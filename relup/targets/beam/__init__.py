"""How relup reaches a live Erlang or Elixir node."""
