%% One of many: a server without a name. Its state is a map.
-module(depot_worker).
-vsn(2).
-behaviour(gen_server).
-export([start_link/1, work/1, jobs/1]).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

start_link(Id) ->
    gen_server:start_link(?MODULE, Id, []).

work(Worker) ->
    gen_server:cast(Worker, work).

jobs(Worker) ->
    gen_server:call(Worker, jobs).

init(Id) ->
    {ok, #{id => Id, jobs => 0, tools => []}}.

handle_call(jobs, _From, #{jobs := Jobs} = Worker) ->
    {reply, Jobs, Worker}.

handle_cast(work, #{jobs := Jobs} = Worker) ->
    {noreply, Worker#{jobs := Jobs + 1}}.

%% up from 1, and down to it again
code_change(1, {Id, Jobs}, _Extra) ->
    {ok, #{id => Id, jobs => Jobs, tools => []}};
code_change({down, 1}, #{id := Id, jobs := Jobs}, _Extra) ->
    {ok, {Id, Jobs}}.
