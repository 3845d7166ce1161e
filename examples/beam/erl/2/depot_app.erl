%% The application: the servers, and as many workers as `workers` in its environment says.
-module(depot_app).
-vsn(1).
-behaviour(application).
-export([start/2, stop/1]).

start(_Type, []) ->
    {ok, Sup} = depot_sup:start_link(),
    {ok, Workers} = application:get_env(depot, workers),
    [{ok, _} = depot_pool:start_worker(Id) || Id <- lists:seq(1, Workers)],
    {ok, Vsn} = application:get_key(depot, vsn),
    io:format("depot ~s: ~b workers~n", [Vsn, Workers]),
    {ok, Sup}.

stop(_State) ->
    ok.
