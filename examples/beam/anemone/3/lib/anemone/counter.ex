defmodule Counter do
  @moduledoc "A bad release: its `code_change` raises, so the upgrade to it is rolled back."

  use GenServer
  @vsn 3

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

    {:noreply, count + 3}
  end

  @impl GenServer
  def code_change(_old_vsn, count, _extra) do
    raise ArgumentError, "release 3 cannot use the count #{count}"
  end
end
