%% What changes the states of servers that have no code_change: up, and down again.
-module(depot_convert).
-export([worker/3, door/3, last/3, alarms/3]).
-export([third_worker_fails/3, no_state/3, no_data/3, no_handler/3, third_worker_hangs/3]).

%% a gen_server
worker({down, _}, {Id, Jobs}, _) -> {ok, {Id, Jobs - 1000}};
worker(_, {Id, Jobs}, _) -> {ok, {Id, Jobs + 1000}}.

%% a gen_statem
door({down, _}, {shut, Pushes}, _) -> {ok, {open, Pushes - 1000}};
door(_, {open, Pushes}, _) -> {ok, {shut, Pushes + 1000}}.

%% a handler of a gen_event
last({down, 1}, [2000 | Last], []) -> {ok, Last};
last(1, Last, []) -> {ok, [2000 | Last]}.

%% a handler of OTP's own
alarms({down, _}, Alarms, #{mark := Mark}) -> {ok, Alarms -- [{Mark, here}]};
alarms(_, Alarms, #{mark := Mark}) -> {ok, [{Mark, here} | Alarms]}.

third_worker_fails(_, {3, _}, _) -> error(no_cage);
third_worker_fails(Vsn, State, Extra) -> worker(Vsn, State, Extra).

%% what is returned is bare
no_state(_, {Id, Jobs}, _) -> {Id, Jobs}.

%% what a gen_statem cannot have
no_data(_, {open, Pushes}, _) -> {ok, Pushes}.

no_handler(_, _, _) -> throw(no_shelf).

third_worker_hangs(_, {3, _}, _) -> receive go_on -> {ok, gone_on} end;
third_worker_hangs(Vsn, State, Extra) -> worker(Vsn, State, Extra).
