%% One of many: a server without a name. Its state is its number, and the jobs that it has done.
-module(depot_worker).
-vsn(1).
-behaviour(gen_server).
-export([start_link/1, work/1, jobs/1]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link(Id) ->
    gen_server:start_link(?MODULE, Id, []).

work(Worker) ->
    gen_server:cast(Worker, work).

jobs(Worker) ->
    gen_server:call(Worker, jobs).

init(Id) ->
    {ok, {Id, 0}}.

handle_call(jobs, _From, {_, Jobs} = State) ->
    {reply, Jobs, State}.

handle_cast(work, {Id, Jobs}) ->
    {noreply, {Id, Jobs + 1}}.
