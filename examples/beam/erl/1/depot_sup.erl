%% The supervision tree: four servers, and a pool that is a supervisor itself.
-module(depot_sup).
-vsn(1).
-behaviour(supervisor).
-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

init([]) ->
    %% a manager of handlers has other modules than its own: they are asked of it
    News = (server(depot_news))#{modules => dynamic},
    Pool = (server(depot_pool))#{type => supervisor},
    {ok, {#{}, [server(depot_stock), server(depot_door), News, server(depot_till), Pool]}}.

server(Module) ->
    #{id => Module, start => {Module, start_link, []}}.
