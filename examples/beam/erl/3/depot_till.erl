%% Sells two pieces every `interval` milliseconds: a registered server whose state is a record.
%% Each sale goes through the stock (a call), the door and the news.
-module(depot_till).
-vsn(2).
-behaviour(gen_server).
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, code_change/3]).

-record(till, {sold = 0, takings = 0}).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    self() ! sell,
    {ok, #till{}}.

handle_call(sold, _From, #till{sold = Sold} = Till) ->
    {reply, Sold, Till}.

handle_cast(_, Till) ->
    {noreply, Till}.

handle_info(sell, #till{sold = Sold, takings = Takings} = Till) ->
    ok = depot_stock:take(2),
    depot_door:push(),
    depot_news:sold(2),
    io:format("sold[2]: ~b~n", [Sold + 2]),
    {ok, Interval} = application:get_env(depot, interval),
    erlang:send_after(Interval, self(), sell),
    {noreply, Till#till{sold = Sold + 2, takings = Takings + depot_price:of_pieces(2)}}.

%% up from 1, and down to it again
code_change(1, {till, Sold}, _Extra) ->
    {ok, #till{sold = Sold, takings = depot_price:of_pieces(Sold)}};
code_change({down, 1}, #till{sold = Sold}, _Extra) ->
    {ok, {till, Sold}}.
