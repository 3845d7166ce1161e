%% What lies in the depot: a server whose state is a map.
-module(depot_stock).
-vsn(2).
-behaviour(gen_server).
-export([start_link/0, take/1, taken/0]).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

take(Pieces) ->
    gen_server:call(?MODULE, {take, Pieces}).

taken() ->
    gen_server:call(?MODULE, taken).

init([]) ->
    {ok, #{left => 1000000, taken => 0, reserved => 0}}.

handle_call({take, Pieces}, _From, #{left := Left, taken := Taken} = Stock) ->
    {reply, ok, Stock#{left := Left - Pieces, taken := Taken + Pieces}};
handle_call(taken, _From, #{taken := Taken} = Stock) ->
    {reply, Taken, Stock}.

handle_cast(_, Stock) ->
    {noreply, Stock}.

%% up from 1, and down to it again
code_change(1, #{left := _, taken := _} = Stock, _Extra) ->
    {ok, Stock#{reserved => 0}};
code_change({down, 1}, #{reserved := Reserved, left := Left} = Stock, _Extra) ->
    {ok, (maps:remove(reserved, Stock))#{left := Left + Reserved}}.
