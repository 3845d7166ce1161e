#!/usr/bin/env escript
%% Plays scenarios on OTP's own supervisor and prints, for every step, its result and who runs in which generation.
-module(supervisor_oracle).
-mode(compile).
-export([main/1, init/1, start/2, loop/0]).

main([File]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, Cases} = file:consult(File),
    lists:foreach(fun play/1, Cases).

play({Strategy, Intensity, Children, Steps}) ->
    Table = ets:new(starts, [public]),
    ets:insert(Table, {spec, Children}),
    {ok, Sup} = supervisor:start_link(?MODULE, {Table, Strategy, Intensity}),
    Lines = [step(S, Sup, Table) || S <- Steps],
    io:format("[~s]~n", [lists:join(",", Lines)]),
    case is_process_alive(Sup) of
        true -> exit(Sup, shutdown), receive {'EXIT', Sup, _} -> ok end;
        false -> ok
    end.

init({Table, Strategy, Intensity}) ->
    [{spec, Children}] = ets:lookup(Table, spec),
    {ok, {#{strategy => Strategy, intensity => Intensity, period => 1000}, [spec(C, Table) || C <- Children]}}.

spec({Id, Restart}, Table) -> #{id => Id, restart => Restart, start => {?MODULE, start, [Id, Table]}}.

start(Id, Table) ->
    ets:update_counter(Table, Id, 1, {Id, 0}),
    {ok, spawn_link(?MODULE, loop, [])}.

loop() -> receive {leave, Reason} -> exit(Reason) end.

step(Step, Sup, Table) ->
    Result = try atom_to_list(do(Step, Sup, Table)) catch exit:_ -> "dead" end,
    ["[\"", Result, "\",[", children(Sup, Table), "]]"].

do({exit, Id, Reason}, Sup, _) ->
    case lists:keyfind(Id, 1, supervisor:which_children(Sup)) of
        {_, Pid, _, _} when is_pid(Pid) ->
            Ref = monitor(process, Pid),
            Pid ! {leave, Reason},
            receive {'DOWN', Ref, _, _, _} -> ok end;
        _ -> none
    end;
do({terminate, Id}, Sup, _) -> result(supervisor:terminate_child(Sup, Id));
do({restart, Id}, Sup, _) -> result(supervisor:restart_child(Sup, Id));
do({delete, Id}, Sup, _) -> result(supervisor:delete_child(Sup, Id));
do({start, Id, Restart}, Sup, Table) -> result(supervisor:start_child(Sup, spec({Id, Restart}, Table)));
do({change, Children}, Sup, Table) ->
    ets:insert(Table, {spec, Children}),
    ok = sys:suspend(Sup),
    ok = sys:change_code(Sup, ?MODULE, undefined, []),
    ok = sys:resume(Sup),
    ok.

result(ok) -> ok;
result({ok, _}) -> ok;
result({error, {already_started, _}}) -> already_started;
result({error, Tag}) -> Tag.

children(Sup, Table) ->
    try lists:reverse(supervisor:which_children(Sup)) of
        Found -> lists:join(",", [child(C, Table) || C <- Found])
    catch exit:_ -> "\"dead\"" end.

child({Id, Pid, _, _}, Table) ->
    Generation = case is_pid(Pid) of true -> ets:lookup_element(Table, Id, 2); false -> -1 end,
    io_lib:format("[\"~s\",~w]", [Id, Generation]).
