defprotocol Zoo.Loud do
  @doc "The sound of something."
  @fallback_to_any true
  def sound(it)
end

defimpl Zoo.Loud, for: Any do
  def sound(_), do: "nothing"
end

defimpl Zoo.Loud, for: Atom do
  import Zoo.Version
  def sound(name), do: "#{name} #{vsn()}"
end

# in version 2 only: what is consolidated differs, the protocol's own file does not
if System.fetch_env!("ZOO") == "2" do
  defimpl Zoo.Loud, for: Integer do
    def sound(n), do: String.duplicate("roar", n)
  end

  # of a protocol of Elixir's own, which is in no appup
  defimpl String.Chars, for: Tuple do
    def to_string(it), do: inspect(it)
  end

  defmodule Zoo.Added do
    def here, do: true
  end
else
  defmodule Zoo.Deleted do
    def here, do: true
  end
end
