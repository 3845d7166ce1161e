%% Remembers the last five sales: a handler whose state is a list.
-module(depot_log).
-vsn(1).
-behaviour(gen_event).
-export([init/1, handle_event/2, handle_call/2]).

init([]) ->
    {ok, []}.

handle_event({sold, Pieces}, Last) ->
    {ok, lists:sublist([Pieces | Last], 5)}.

handle_call(last, Last) ->
    {ok, Last, Last}.
