%% The workers: a simple_one_for_one supervisor of any number of them.
-module(depot_pool).
-vsn(2).
-behaviour(supervisor).
-export([start_link/0, start_worker/1, init/1]).

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

start_worker(Id) ->
    supervisor:start_child(?MODULE, [Id]).

init([]) ->
    Worker = #{id => worker, start => {depot_worker, start_link, []}, shutdown => 1000},
    {ok, {#{strategy => simple_one_for_one}, [Worker]}}.
