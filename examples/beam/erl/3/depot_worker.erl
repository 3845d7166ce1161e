%% One of many: a server without a name. Its state is a map.
-module(depot_worker).
-vsn(3).
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

%% a bad release: one worker, `unwilling` in the environment or else number 7, cannot be changed
code_change(OldVsn, State, _Extra) ->
    Id = case State of {N, _} -> N; #{id := N} -> N end,
    case {application:get_env(depot, unwilling, 7), OldVsn, State} of
        {Id, _, _} -> error({unwilling, Id});
        {_, 1, {Id, Jobs}} -> {ok, #{id => Id, jobs => Jobs, tools => []}};
        {_, {down, 1}, #{jobs := Jobs}} -> {ok, {Id, Jobs}};
        {_, _, #{}} -> {ok, State}
    end.
