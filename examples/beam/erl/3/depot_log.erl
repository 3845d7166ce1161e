%% Remembers the last five sales, and the greatest of all: a handler whose state is a map.
-module(depot_log).
-vsn(2).
-behaviour(gen_event).
-export([init/1, handle_event/2, handle_call/2, code_change/3]).

init([]) ->
    {ok, #{last => [], most => 0}}.

handle_event({sold, Pieces}, #{last := Last, most := Most}) ->
    {ok, #{last => lists:sublist([Pieces | Last], 5), most => max(Pieces, Most)}}.

handle_call(last, #{last := Last} = Log) ->
    {ok, Last, Log}.

%% up from 1, and down to it again
code_change(1, Last, _Extra) when is_list(Last) ->
    {ok, #{last => Last, most => lists:max([0 | Last])}};
code_change({down, 1}, #{last := Last}, _Extra) ->
    {ok, Last}.
