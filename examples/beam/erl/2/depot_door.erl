%% The door: a state machine, closed or open, that is pushed at each sale. Its data is a map.
%% One of its states has another name than in 1, and its events are handled in one function.
-module(depot_door).
-vsn(2).
-behaviour(gen_statem).
-export([start_link/0, push/0]).
-export([init/1, callback_mode/0, handle_event/4, code_change/4]).

start_link() ->
    gen_statem:start_link({local, ?MODULE}, ?MODULE, [], []).

push() ->
    gen_statem:cast(?MODULE, push).

init([]) ->
    {ok, closed, #{pushes => 0}}.

callback_mode() ->
    handle_event_function.

handle_event(cast, push, State, #{pushes := Pushes} = Data) ->
    {next_state, other(State), Data#{pushes := Pushes + 1}}.

other(closed) -> open;
other(open) -> closed.

%% up from 1, and down to it again
code_change(1, State, Pushes, _Extra) when is_integer(Pushes) ->
    {ok, case State of shut -> closed; open -> open end, #{pushes => Pushes}};
code_change({down, 1}, State, #{pushes := Pushes}, _Extra) ->
    {ok, case State of closed -> shut; open -> open end, Pushes}.
