%% The news: an event manager with two handlers, each with a state of its own.
-module(depot_news).
-vsn(1).
-export([start_link/0, sold/1]).

start_link() ->
    {ok, Manager} = gen_event:start_link({local, ?MODULE}),
    ok = gen_event:add_handler(Manager, depot_log, []),
    ok = gen_event:add_handler(Manager, depot_tally, []),
    {ok, Manager}.

sold(Pieces) ->
    gen_event:notify(?MODULE, {sold, Pieces}).
