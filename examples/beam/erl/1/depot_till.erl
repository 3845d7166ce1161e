%% Sells one piece every `interval` milliseconds: a registered server whose state is a record.
%% Each sale goes through the stock (a call), the door and the news.
-module(depot_till).
-vsn(1).
-behaviour(gen_server).
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(till, {sold = 0}).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    self() ! sell,
    {ok, #till{}}.

handle_call(sold, _From, #till{sold = Sold} = Till) ->
    {reply, Sold, Till}.

handle_cast(_, Till) ->
    {noreply, Till}.

handle_info(sell, #till{sold = Sold} = Till) ->
    ok = depot_stock:take(1),
    depot_door:push(),
    depot_news:sold(1),
    io:format("sold[1]: ~b~n", [Sold + 1]),
    {ok, Interval} = application:get_env(depot, interval),
    erlang:send_after(Interval, self(), sell),
    {noreply, Till#till{sold = Sold + 1}}.
