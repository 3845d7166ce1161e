%% Adds up the sales, and counts them: a handler whose state is a pair.
-module(depot_tally).
-vsn(2).
-behaviour(gen_event).
-export([init/1, handle_event/2, handle_call/2, code_change/3]).

init([]) ->
    {ok, {0, 0}}.

handle_event({sold, Pieces}, {Sum, Sales}) ->
    {ok, {Sum + Pieces, Sales + 1}}.

handle_call(sum, {Sum, _} = Tally) ->
    {ok, Sum, Tally}.

%% up from 1, where each sale was of one piece, and down to it again
code_change(1, Sum, _Extra) when is_integer(Sum) ->
    {ok, {Sum, Sum}};
code_change({down, 1}, {Sum, _}, _Extra) ->
    {ok, Sum}.
