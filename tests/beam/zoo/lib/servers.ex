defmodule Zoo.Animal do
  @moduledoc "A server: {name, count}, then a map of both."
  use GenServer
  import Zoo.Version
  @vsn vsn()

  def start_link({:via, _, {_, key}} = name), do: GenServer.start_link(__MODULE__, key, name: name)
  def start_link(name), do: GenServer.start_link(__MODULE__, name)

  if vsn() == 1 do
    @impl true
    def init(name), do: {:ok, {name, 0}}
    def wait, do: receive(do: (:go_on -> 1))
  else
    @impl true
    def init(name), do: {:ok, %{name: name, count: 0}}
    def wait, do: receive(do: (:go_on -> 2))
  end

  # a function alone, which leaves nothing of this module on the stack of who calls it
  def doze, do: fn -> Process.sleep(:infinity) end
  def work, do: fn -> {:done, wait()} end

  @impl true
  def code_change(1, {name, count}, _), do: answer(__MODULE__, {:ok, %{name: name, count: count}})
  def code_change({:down, 1}, %{name: name, count: count}, _), do: {:ok, {name, count}}
end

defmodule Zoo.Doors do
  @moduledoc "Starts a server of another module; it is none itself."
  def start_link, do: GenServer.start_link(Zoo.Animal, :cat)
  # an application whose top is no supervisor
  def start(_type, _args), do: GenServer.start_link(Zoo.Animal, :hen, name: :hen)
end

defmodule Zoo.Vet do
  @moduledoc "A server that dies of every message it does not know."
  use GenServer
  import Zoo.Version
  @vsn vsn()
  def start_link(_), do: GenServer.start_link(__MODULE__, 0)
  @impl true
  def init(patients), do: {:ok, patients}
  @impl true
  def handle_call(:patients, _, patients), do: {:reply, patients, patients}
  @impl true
  def handle_info(:patient, patients), do: {:noreply, patients + vsn()}
  @impl true
  def code_change(1, patients, _), do: {:ok, {:patients, patients}}
  def code_change({:down, 1}, {:patients, patients}, _), do: {:ok, patients}
end

defmodule Zoo.Counter do
  @moduledoc "A server whose state is a struct, which gets a field."
  use GenServer
  import Zoo.Version
  @vsn vsn()
  if vsn() == 1, do: defstruct(count: 0), else: defstruct(count: 0, step: 1)

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)
  @impl true
  def init(_), do: {:ok, %__MODULE__{count: 7}}
  @impl true
  def code_change(1, old, _), do: answer(__MODULE__, {:ok, struct(__MODULE__, Map.from_struct(old))})
  def code_change({:down, 1}, new, _), do: {:ok, Map.delete(new, :step)}
end

defmodule Zoo.Gate do
  @moduledoc "A gen_statem: its data becomes a map, and its callback mode another."
  @behaviour :gen_statem
  import Zoo.Version
  @vsn vsn()
  def child_spec(_), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}
  def start_link, do: :gen_statem.start_link({:local, __MODULE__}, __MODULE__, [], [])
  @impl true
  def init(_), do: {:ok, :shut, if(vsn() == 1, do: 0, else: %{opened: 0})}

  if vsn() == 1 do
    @impl true
    def callback_mode, do: :state_functions
    def shut({:call, from}, :push, n), do: {:next_state, :open, n + 1, {:reply, from, :opened}}
    def open({:call, from}, :push, n), do: {:next_state, :shut, n, {:reply, from, :shut}}
  else
    @impl true
    def callback_mode, do: :handle_event_function
    @impl true
    def handle_event({:call, from}, :push, :shut, %{opened: n}),
      do: {:next_state, :open, %{opened: n + 1}, {:reply, from, :opened_by_2}}

    def handle_event({:call, from}, :push, :open, data), do: {:next_state, :shut, data, {:reply, from, :shut_by_2}}
  end

  @impl true
  def code_change(1, state, n, _), do: answer(__MODULE__, {:ok, state, %{opened: n}})
  def code_change({:down, 1}, state, %{opened: n}, _), do: {:ok, state, n}
end

defmodule Zoo.Basket do
  @moduledoc "An agent with a module of its own."
  use Agent
  import Zoo.Version
  @vsn vsn()
  def start_link(_), do: Agent.start_link(fn -> begin(vsn()) end, name: __MODULE__)
  defp begin(1), do: [:apple]
  defp begin(2), do: {:basket, [:apple]}
  def up(fruits), do: answer(__MODULE__, {:basket, fruits})
  def down({:basket, fruits}), do: fruits
end

defmodule Zoo.Ledger do
  @moduledoc "What an agent begins with whose spec says no more than Agent."
  import Zoo.Version
  @vsn vsn()
  def new, do: if(vsn() == 1, do: 5, else: {:balance, 5})
  def up(balance, unit), do: answer(__MODULE__, {:balance, balance, unit})
  def down({:balance, balance, _}, _), do: balance
end
