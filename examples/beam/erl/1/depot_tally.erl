%% Adds up the sales: a handler whose state is a number.
-module(depot_tally).
-vsn(1).
-behaviour(gen_event).
-export([init/1, handle_event/2, handle_call/2]).

init([]) ->
    {ok, 0}.

handle_event({sold, Pieces}, Sum) ->
    {ok, Sum + Pieces}.

handle_call(sum, Sum) ->
    {ok, Sum, Sum}.
