defmodule Zoo.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Registry, keys: :unique, name: Zoo.Registry},
      {DynamicSupervisor, name: Zoo.Pens},
      {PartitionSupervisor, child_spec: {Zoo.Animal, :fish}, name: Zoo.Tanks, partitions: 3},
      {Task.Supervisor, name: Zoo.Tasks},
      Zoo.Basket,
      %{id: :ledger, start: {Agent, :start_link, [&Zoo.Ledger.new/0, [name: Zoo.Ledger]]}},
      Zoo.Gate,
      %{id: :news, start: {:gen_event, :start_link, [{:local, Zoo.News}]}, modules: :dynamic},
      # its spec says that it runs gen_event, and nothing of handlers
      %{id: :gossip, start: {:gen_event, :start_link, [{:local, Zoo.Gossip}]}},
      Zoo.Counter,
      Zoo.Keepers,
      Zoo.Shifts,
      %{id: :pump, start: {Zoo.Pump, :start_link, []}},
      # a supervisor whose spec lacks its type
      %{id: :hidden, start: {Zoo.Hidden, :start_link, []}},
      # a server whose spec names the module that starts it
      %{id: :wrapped, start: {Zoo.Doors, :start_link, []}},
      # a server that says it is a supervisor, and would not survive to be asked for its children
      Supervisor.child_spec({Zoo.Vet, []}, type: :supervisor),
      # a server that says it runs modules of its own choice, and would not survive to be asked for them
      Supervisor.child_spec({Zoo.Vet, []}, id: :dynamic, modules: :dynamic)
    ]

    {:ok, top} = Supervisor.start_link(children, strategy: :one_for_one, name: Zoo.Supervisor)
    {:ok, _} = DynamicSupervisor.start_child(Zoo.Pens, {Zoo.Animal, {:via, Registry, {Zoo.Registry, :lion}}})
    {:ok, _} = DynamicSupervisor.start_child(Zoo.Shifts, {Zoo.Animal, :owl})
    for id <- [1, 2], do: :ok = :gen_event.add_handler(Zoo.News, {Zoo.Reader, id}, id)
    for id <- [3, 4], do: :ok = :gen_event.add_handler(Zoo.News, Zoo.Reader, id)
    :ok = :gen_event.add_handler(Zoo.News, Zoo.Listener, 0)
    :ok = :gen_event.add_handler(Zoo.Gossip, Zoo.Listener, 0)
    {:ok, _} = GenServer.start(Zoo.Animal, :stray, name: :stray)
    IO.puts("zoo #{Application.spec(:zoo, :vsn)}")
    {:ok, top}
  end
end
