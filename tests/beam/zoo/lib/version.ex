defmodule Zoo.Version do
  @moduledoc "Which version is compiled, and what goes wrong on purpose."
  defmacro vsn, do: String.to_integer(System.fetch_env!("ZOO"))

  @doc "The answer of a code_change, unless a test asked for another."
  def answer(module, good) do
    case :persistent_term.get({:zoo, module}, :good) do
      :good -> good
      :raise -> raise "no #{inspect(module)}"
      {:junk, junk} -> junk
    end
  end
end
