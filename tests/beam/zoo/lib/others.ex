defmodule Zoo.Reader do
  @moduledoc "A handler of events."
  @behaviour :gen_event
  import Zoo.Version
  @vsn vsn()
  @impl true
  def init(id), do: {:ok, {id, vsn()}}
  @impl true
  def handle_event(_, state), do: {:ok, state}
  @impl true
  def handle_call(_, state), do: {:ok, state, state}
  @impl true
  def code_change(1, {id, 1}, _), do: answer({__MODULE__, id}, {:ok, {id, 2}})
  def code_change({:down, 1}, {id, 2}, _), do: {:ok, {id, 1}}
end

defmodule Zoo.Listener do
  @moduledoc "Another handler; version 2 counts in a tuple."
  @behaviour :gen_event
  import Zoo.Version
  @vsn vsn()
  @impl true
  def init(n), do: {:ok, n}
  @impl true
  def handle_event(_, n), do: {:ok, if(vsn() == 1, do: n + 1, else: put_elem(n, 1, elem(n, 1) + 1))}
  @impl true
  def handle_call(_, n), do: {:ok, n, n}
  @impl true
  def code_change(1, n, _), do: answer(__MODULE__, {:ok, {:heard, n}})
  def code_change({:down, 1}, {:heard, n}, _), do: {:ok, n}
end

defmodule Zoo.Keepers do
  @moduledoc "A supervisor; version 2 restarts more often, and gives its child other arguments."
  use Supervisor
  import Zoo.Version
  @vsn vsn()
  def start_link(_), do: Supervisor.start_link(__MODULE__, nil, name: __MODULE__)
  @impl true
  def init(_) do
    if persistent_fault(), do: raise("no keepers")
    children = [%{id: :bear, start: {Zoo.Animal, :start_link, [if(vsn() == 1, do: :bear, else: :polar_bear)]}}]
    Supervisor.init(children, strategy: :one_for_one, max_restarts: vsn() * 10)
  end

  defp persistent_fault, do: :persistent_term.get({:zoo, __MODULE__}, false)
end

defmodule Zoo.Shifts do
  @moduledoc "A dynamic supervisor with a module of its own."
  use DynamicSupervisor
  import Zoo.Version
  @vsn vsn()
  def start_link(_), do: DynamicSupervisor.start_link(__MODULE__, nil, name: __MODULE__)
  @impl true
  def init(_), do: DynamicSupervisor.init(strategy: :one_for_one, max_children: vsn() * 10)
end

defmodule Zoo.Hidden do
  @moduledoc "Starts a supervisor and has no behaviour that would say so."
  def start_link, do: Supervisor.start_link([{Zoo.Animal, :mole}], strategy: :one_for_one)
end

defmodule Zoo.Pump do
  @moduledoc "A special process: proc_lib and sys alone."
  import Zoo.Version
  @vsn vsn()
  def start_link, do: :proc_lib.start_link(__MODULE__, :init, [self()])

  def init(parent) do
    Process.register(self(), __MODULE__)
    :proc_lib.init_ack(parent, {:ok, self()})
    loop(parent, if(vsn() == 1, do: 0, else: {:litres, 0}))
  end

  defp loop(parent, state) do
    receive do
      {:system, from, request} -> :sys.handle_system_msg(request, from, parent, __MODULE__, [], state)
      {:ask, from} -> send(from, {vsn(), state}) && loop(parent, state)
    end
  end

  def system_continue(parent, _, state), do: loop(parent, state)
  def system_terminate(reason, _, _, _), do: exit(reason)
  def system_code_change(n, __MODULE__, 1, _), do: answer(__MODULE__, {:ok, {:litres, n}})
  def system_code_change({:litres, n}, __MODULE__, {:down, 1}, _), do: {:ok, n}
end

defmodule Zoo.Fire do
  @moduledoc "What cannot be loaded together with others, nor taken back."
  @on_load :light
  def light, do: :ok
end
