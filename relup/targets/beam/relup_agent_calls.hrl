%% What is called for an upgrade: functions of the program, and supervisors that end children and start them again.

%% Call a function where nothing of the agent waits for it: what it prints goes to the node, and the lease goes on.
call(supervisor, delete_child, [S, Id], Limit, A) ->
    %% it may have to come back
    Delete = fun() -> {deleted, {S, Id}, supervisor:get_childspec(S, Id), supervisor:delete_child(S, Id)} end,
    apart(Delete, Limit, A);
call(supervisor, restore_child, [S, Id], Limit, #agent{deleted = Deleted} = A) ->
    case Deleted of
        #{{S, Id} := {ok, Spec}} -> apart(fun() -> {true, restore_child(S, Id, Spec)} end, Limit, A);
        _ -> {{failed, words({not_deleted, Id})}, A}
    end;
call(M, F, Args, Limit, A) ->
    Starts = M =:= application andalso lists:member(F, [start, load, ensure_all_started])
        orelse M =:= supervisor andalso lists:member(F, [start_child, restart_child, terminate_child]),
    Do = case {M, F, Args} of
        {application, start, [App, Type]} -> fun() -> start_application(App, Type) end;
        _ -> fun() -> apply(M, F, Args) end
    end,
    apart(fun() -> {Starts, Do()} end, Limit, A).

%% Ask a function whether all is well.
ask(M, F, Args, Limit, A) ->
    Do = fun() -> try {asked, apply(M, F, Args)} catch _:Reason:Stack -> {no, why({'EXIT', {Reason, Stack}})} end end,
    apart(Do, Limit, A).

apart(Do, Limit, A) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({relup_returned, Do()}) end),
    called(Pid, Monitor, ?NOW + Limit, A).

called(Pid, Monitor, Until, #agent{bridge = Bridge} = A) ->
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, {deleted, Which, Spec, Value}}} ->
            {returned({true, Value}), A#agent{deleted = (A#agent.deleted)#{Which => Spec}}};
        {'DOWN', Monitor, process, Pid, {relup_returned, Value}} -> {returned(Value), A};
        {'DOWN', Monitor, process, Pid, Reason} -> {{failed, words(Reason)}, A};
        {'DOWN', _, process, Bridge, _} -> exit(Pid, kill), throw({lost, A});
        {heartbeat, Bridge} -> called(Pid, Monitor, Until, A#agent{heard = ?NOW})
    after wait(Until, A) ->
        exit(Pid, kill),
        case ?NOW >= Until of
            true -> {late, A};
            false -> throw({lost, A})
        end
    end.

%% OTP knows no way to add a child that does not run: it is started, and ended.
restore_child(S, Id, Spec) ->
    case supervisor:start_child(S, Spec) of
        {error, Reason} -> {error, Reason};
        _ -> supervisor:terminate_child(S, Id)
    end.

%% What a call returns is nobody's business, but for an application or a child that is not there after it.
returned({true, {error, {already_started, _}}}) -> ok;
returned({true, {error, {already_loaded, _}}}) -> ok;
returned({true, {error, running}}) -> ok;
returned({true, {error, Reason}}) -> {failed, words(Reason)};
returned({asked, {error, _} = No}) -> {failed, words(No)};
returned({asked, No}) when No =:= false; No =:= error -> {failed, words(No)};
returned({no, Why}) -> {failed, Why};
returned(_) -> ok.

%% A supervisor whose code changes keeps every child that it knows. So the way back over a window leaves the specs behind
%% that the way there added, unless they are taken away once everybody goes on.
know_children(Number, new, #agent{children = Ids, known_children = Known} = A) ->
    A#agent{known_children = Known#{Number => Ids}};
know_children(Number, old, #agent{known_children = Known} = A) ->
    A#agent{added = maps:get(Number, Known, [])}.

child_ids(S) -> [Id || {Id, _, _, _} <- supervisor:which_children(S)].

forget_added(S, Ids) ->
    [supervisor:delete_child(S, Id) || {Id, undefined, _, _} <- supervisor:which_children(S), not lists:member(Id, Ids)].

%% End the processes of modules through their supervisors. Who is to be started again is known before the first is ended:
%% a child may take its time to end, and whoever asks for it may be lost meanwhile.
stop(Modules, #agent{stopped = Stopped} = A) ->
    #census{servers = Servers, tops = Tops, beyond = Beyond} = census(Modules),
    Found = Servers ++ Tops,
    Above = lists:usort([S || {_, _, S} <- Found, S =/= none]),
    Ids = maps:from_list([{P, {S, Id}} || S <- Above, {Id, P, _, _} <- supervisor:which_children(S), Id =/= undefined]),
    case [describe(P) || {P, _, _} <- Found ++ Beyond, not is_map_key(P, Ids)] of
        [] ->
            Children = [maps:get(P, Ids) || {P, _, _} <- Found],
            Before = A#agent{stopped = Stopped#{Modules => Children}},
            case apart(fun() -> all(fun supervisor:terminate_child/2, Children) end, ?EVER, Before) of
                {ok, Next} -> {ok, Next};
                {Failed, Next} -> {Failed, element(2, start_again(Modules, Next))}
            end;
        Lost -> {{failed, not_started_again(Lost)}, A}
    end.

start_again(Modules, #agent{stopped = Stopped} = A) ->
    Start = fun(S, Id) ->
        case supervisor:restart_child(S, Id) of
            {error, running} -> ok;
            Answer -> Answer
        end
    end,
    case apart(fun() -> all(Start, maps:get(Modules, Stopped, [])) end, ?EVER, A) of
        {ok, Next} -> {ok, Next#agent{stopped = maps:remove(Modules, Stopped)}};
        Failed -> Failed
    end.

all(Do, Children) ->
    case [Reason || {S, Id} <- Children, {error, Reason} <- [Do(S, Id)]] of
        [] -> {true, ok};
        Reasons -> {true, {error, Reasons}}
    end.

not_started_again(Processes) ->
    Names = lists:join(", ", [Name || {_, Name, _} <- Processes]),
    unicode:characters_to_binary([Names, " would be lost: no supervisor could start it again as the same child"]).
