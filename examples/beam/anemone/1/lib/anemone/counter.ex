defmodule Counter do
  @moduledoc "A server that counts by 1."

  use GenServer
  @vsn 1

  def start_link(_) do
    GenServer.start_link(__MODULE__, 0, name: :counter)
  end

  @impl GenServer
  def init(count) do
    GenServer.cast(self(), :increment)

    {:ok, count}
  end

  @impl GenServer
  def handle_cast(:increment, count) do
    IO.puts("count[#{@vsn}]: #{count}")

    Process.sleep(Application.fetch_env!(:anemone, :interval))
    GenServer.cast(self(), :increment)

    {:noreply, count + 1}
  end
end
