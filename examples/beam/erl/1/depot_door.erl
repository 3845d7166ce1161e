%% The door: a state machine, shut or open, that is pushed at each sale. Its data is how often.
-module(depot_door).
-vsn(1).
-behaviour(gen_statem).
-export([start_link/0, push/0]).
-export([init/1, callback_mode/0, shut/3, open/3]).

start_link() ->
    gen_statem:start_link({local, ?MODULE}, ?MODULE, [], []).

push() ->
    gen_statem:cast(?MODULE, push).

init([]) ->
    {ok, shut, 0}.

callback_mode() ->
    state_functions.

shut(cast, push, Pushes) ->
    {next_state, open, Pushes + 1}.

open(cast, push, Pushes) ->
    {next_state, shut, Pushes + 1}.
