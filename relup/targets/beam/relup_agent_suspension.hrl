%% Suspending the processes of a window, each keeping its state aside, and letting them go on.

%% How often suspending begins again because somebody waits for one who is suspended, and when that is first looked for.
-define(TRIES, 6).
-define(PROBE, 5).
%% What the answers of one process take in the heap, in words.
-define(WORDS, 120).
%% What is known of each process of the node before them.
-define(KNOWN, 40).

%% What there is to be said before a window: how many it concerns, who of them is in no tree, who cannot be suspended,
%% who is silent, who stands in the code that is to be replaced, and who holds functions of it.
concerned(Modules, Code, A) ->
    #census{servers = Servers, tops = Tops, beyond = Beyond, mute = Mute, silent = Silent} = Taken = census(Modules),
    Concerned = maps:from_keys([P || {P, _, _} <- Servers ++ Tops ++ Beyond], true),
    {Lingering, Holding, Serving} = lingering(Code, Modules, Concerned),
    Outside = [describe(P) || {P, _, _} <- Beyond],
    {{ok, map_size(Concerned), Outside, Mute, Silent, Lingering, Holding, Serving}, A#agent{census = {Modules, Taken}}}.

%% Take the census, and watch whom it found. Who was born meanwhile, or has not come so far yet that it can be told what
%% it was started to run, is looked at again.
select(Modules, A) ->
    case census(Modules, A#agent.census) of
        #census{mute = [], silent = []} = Taken -> selected(Modules, Taken, A#agent{census = none});
        #census{mute = [], silent = Silent} -> {{silent, Silent}, A};
        #census{mute = Mute} -> {{mute, Mute}, A}
    end.

selected(Modules, #census{servers = Servers, tops = Tops, beyond = Beyond} = Taken, A) ->
    Before = A#agent{
        modules = Modules, selected = #{}, order = [], supervisors = [], monitors = [], died = [],
        children = [{P, child_ids(P)} || {P, _, _} <- Tops]
    },
    #agent{selected = Selected} = Watching = watch(Servers ++ Tops ++ Beyond, Before),
    {_, There} = Sure = seen_without(Taken#census.unsure, Taken#census.present),
    Known = seen([P || {P, _} <- Watching#agent.order, not is_map_key(P, There)], Sure),
    Next = Watching#agent{known = Known, unseen = []},
    make_room(map_size(Selected)),
    {{ok, map_size(Selected)}, Next}.

%% All answers of a batch lie in one heap. To collect it while it grows is half of a window over many processes, so it
%% is made large before the window is opened, beside what is kept; small ones are left as they are.
make_room(Count) when Count < 500 -> ok;
make_room(Count) ->
    process_flag(min_heap_size, Count * ?WORDS + erlang:system_info(process_count) * ?KNOWN),
    garbage_collect(),
    ok.

%% Who was born one after the other is asked one after the other: they lie side by side in memory, and to wake many in
%% any other order takes half as long again.
watch(All, #agent{selected = Before, order = Order, supervisors = Above, monitors = Monitors} = A) ->
    Found = maps:from_list([{P, Ms} || {P, Ms, _} <- All]),
    More = [{P, maps:get(P, Found)} || P <- processes(), is_map_key(P, Found)],
    Selected = maps:merge(Before, maps:from_list(More)),
    Over = lists:usort(Above ++ [S || {_, _, S} <- All, S =/= none, not is_map_key(S, Selected)]),
    Watched = [{P, monitor(process, P)} || P <- [Each || {Each, _} <- More] ++ (Over -- Above)],
    put(selected, Selected),
    A#agent{selected = Selected, order = Order ++ More, supervisors = Over, monitors = Watched ++ Monitors}.

%% {Pid, Modules} of those that still live, in that order.
in_order(#agent{order = Order, selected = Selected}) when length(Order) =:= map_size(Selected) -> Order;
in_order(#agent{order = Order, selected = Selected}) -> [Each || {P, _} = Each <- Order, is_map_key(P, Selected)].

%% Suspend all, and let each keep its state aside; the answer to the second tells of the first. One time limit runs for
%% all; modules may have limits of their own.
%%
%% Who waits in a call to one that is suspended does not get to suspend. Then all go on, until those that waited have
%% their answers, and it begins again with them: callers before whom they call.
suspend(Limits, #agent{supervisors = Above} = A) ->
    case settle([Above ++ [P || {P, _} <- in_order(A)]], ?TRIES, ?NOW, Limits, A#agent{asked = [], limits = Limits}) of
        {ok, #agent{selected = Still} = Next} -> {{ok, map_size(Still)}, Next};
        Failed -> Failed
    end.

settle(Stages, Tries, Start, Limits, A) ->
    case stages(Stages, Tries, Start, Limits, A) of
        {again, Waiting, Late, Batch, Next} ->
            %% the window stays open: what they keep from here on is not to be forgotten after this request
            Resumed = (release(Next))#agent{watched = Next#agent.watched},
            Forget = {replace_state, fun ?MODULE:forget/1},
            [P ! {system, {Next#agent.nobody, P}, Forget} || P <- Next#agent.asked],
            Until = lists:min([Start + limit(P, Limits, Next) || P <- Late]),
            case collect(Batch, Late, Until, Resumed) of
                {ok, _, Ready} ->
                    Others = [S -- Waiting || S <- Stages],
                    settle(living([Waiting | Others], Ready), Tries - 1, Start, Limits, Ready);
                {late, Stuck, _, Ready} -> {{late, lists:map(fun describe/1, Stuck)}, Ready}
            end;
        Other -> Other
    end.

stages([], _, _, _, A) -> {ok, A};
stages([Pids | Rest], Tries, Start, Limits, #agent{asked = Asked} = A) ->
    Batch = still(Pids, A),
    %% many take their time to be asked at all, which is no reason to look at each of them
    Probe = ?NOW + (?PROBE bsl (?TRIES - Tries)) + length(Pids) div 50,
    case stage(Batch, Pids, Probe, Tries, Start, Limits, A#agent{asked = Pids ++ Asked}) of
        {ok, Next} -> stages(living(Rest, Next), Tries, Start, Limits, Next);
        Other -> Other
    end.

living(Stages, #agent{selected = Selected, supervisors = Above}) ->
    [[P || P <- Pids, is_map_key(P, Selected) orelse lists:member(P, Above)] || Pids <- Stages].

stage(_, [], _, _, _, _, A) -> {ok, A};
stage(Batch, Pids, Probe, Tries, Start, Limits, A) ->
    Moments = [Probe, Start + ?LIMIT | [Start + Limit || Limit <- maps:values(Limits)]],
    Until = lists:min([Moment || Moment <- Moments, Moment > ?NOW] ++ [lists:max(Moments)]),
    {Kept, Late, Next} = case collect(Batch, Pids, Until, A) of
        {ok, Answers, All} -> {Answers, [], All};
        {late, Missing, Answers, Some} -> {Answers, Missing, Some}
    end,
    Now = ?NOW,
    Over = [P || P <- Late, Start + limit(P, Limits, Next) =< Now],
    case [describe(P) || {{_, P}, Answer} <- Kept, not is_kept(Answer)] of
        [] when Over =/= [] -> {{late, lists:map(fun describe/1, Over)}, Next};
        [] when Tries > 0, Now >= Probe ->
            case [P || P <- Late, waits(P)] of
                [] -> stage(Batch, Late, Probe, Tries, Start, Limits, Next);
                Waiting -> {again, Waiting, Late, Batch, Next}
            end;
        [] -> stage(Batch, Late, Probe, Tries, Start, Limits, Next);
        Unkept -> {{unkept, Unkept}, Next}
    end.

%% Does it wait for the answer to a call?
waits(P) ->
    case process_info(P, current_function) of
        {current_function, {gen, _, _}} -> true;
        {current_function, {'Elixir.GenServer', _, _}} -> true;
        _ -> false
    end.

%% What sys answers when the state is kept: the throw of stash/1, and from a gen_event the states of its handlers.
is_kept({error, {callback_failed, _, {throw, relup}}}) -> true;
is_kept(States) when is_list(States) -> true;
is_kept(_) -> false.

still(Pids, #agent{nobody = Nobody}) ->
    Batch = make_ref(),
    Suspend = {system, {Nobody, Batch}, suspend},
    Keep = {replace_state, fun ?MODULE:stash/1},
    [begin P ! Suspend, P ! {system, {self(), {Batch, P}}, Keep} end || P <- Pids],
    Batch.

limit(P, Limits, #agent{selected = Selected}) ->
    case Selected of
        #{P := Modules} -> lists:max([maps:get(M, Limits, ?LIMIT) || M <- Modules]);
        _ -> ?LIMIT
    end.

%% Suspend who was born since the window was opened, until nobody new is found, and change their states as those of the
%% others were changed before the load. Who comes too late for it is found by verify/1.
catch_up(A) -> catch_up(?TRIES, A).

catch_up(_, #agent{known = none} = A) -> {ok, A};
catch_up(0, A) -> {ok, A};
catch_up(Tries, #agent{known = Known, modules = Modules} = A) ->
    Wanted = maps:from_keys(Modules, true),
    New = [{P, M} || P <- unseen(Known), M <- [initial(P)], M =/= none],
    Next = A#agent{known = seen([P || {P, _} <- New], Known)},
    case [{P, [M], parent(P)} || {P, M} <- New, is_map_key(M, Wanted), hears(P)] of
        [] -> {ok, Next};
        Born ->
            Before = Next#agent.supervisors,
            Watching = watch(Born, Next),
            Joining = [P || {P, _, _} <- Born] ++ (Watching#agent.supervisors -- Before),
            case stages([Joining], 0, ?NOW, A#agent.limits, Watching) of
                {ok, Joined} ->
                    case change_too([{P, Ms} || {P, Ms, _} <- Born], Joined) of
                        {ok, Changed} -> catch_up(Tries - 1, Changed);
                        Failed -> Failed
                    end;
                Failed -> Failed
            end
    end.

change_too(Born, #agent{selected = Selected} = A) ->
    case get(changes) of
        undefined -> {ok, A};
        Changes -> change_code(Changes, [B || {P, _} = B <- Born, is_map_key(P, Selected)], A)
    end.

%% Wait for the answers of a batch, each {{Batch, Pid}, Answer}; whoever dies meanwhile needs to give none.
collect(Batch, Asked, Until, A) -> collect(Batch, length(Asked), [], Until, Asked, A).

collect(_, 0, Answers, _, _, A) -> {ok, Answers, A};
collect(Batch, Left, Answers, Until, Asked, #agent{bridge = Bridge} = A) ->
    receive
        {{Batch, _}, _} = Answer -> collect(Batch, Left - 1, [Answer | Answers], Until, Asked, A);
        {'DOWN', _, process, Bridge, _} -> throw({lost, A});
        {'DOWN', _, process, P, _} ->
            Answered = lists:any(fun({{_, Who}, _}) -> Who =:= P end, Answers),
            Fewer = case Answered orelse not lists:member(P, Asked) of true -> Left; false -> Left - 1 end,
            collect(Batch, Fewer, Answers, Until, Asked, died(P, A));
        {heartbeat, Bridge} -> collect(Batch, Left, Answers, Until, Asked, A#agent{heard = ?NOW})
    after wait(Until, A) ->
        case ?NOW >= Until of
            true -> {late, Asked -- [P || {{_, P}, _} <- Answers], Answers, A};
            false -> throw({lost, A})
        end
    end.

%% How long to wait before either is over: the step, or the lease.
wait(Until, #agent{lease = infinity}) -> max(0, Until - ?NOW);
wait(Until, #agent{heard = Heard, lease = Lease}) -> max(0, min(Until, Heard + Lease) - ?NOW).

%% Let everybody go on who was ever asked to stand still.
release(#agent{asked = Asked, monitors = Monitors, nobody = Nobody} = A) ->
    Resume = {system, {Nobody, resume}, resume},
    [P ! Resume || P <- lists:reverse(Asked)],
    A#agent{asked = [], watched = Monitors}.

%% Wait until what was kept is forgotten, for it is the agent's code that forgets; who is busy does so later, without.
forgotten(#agent{watched = Watched, nobody = Nobody} = A) ->
    [demonitor(M, [flush]) || {_, M} <- Watched],
    Batch = make_ref(),
    Asked = [P || {P, _} <- Watched, is_process_alive(P)],
    Forget = {replace_state, fun ?MODULE:forget/1},
    [P ! {system, {self(), {Batch, P}}, Forget} || P <- Asked],
    %% many take their time to be asked at all
    Until = ?NOW + ?GRACE + length(Asked) div 50,
    Later = {replace_state, forget_later()},
    [P ! {system, {Nobody, P}, Later} || P <- Asked -- acknowledged(Batch, length(Asked), Until, [])],
    A#agent{watched = []}.

acknowledged(_, 0, _, Pids) -> Pids;
acknowledged(Batch, Left, Until, Pids) ->
    receive {{Batch, P}, _} -> acknowledged(Batch, Left - 1, Until, [P | Pids])
    after max(0, Until - ?NOW) -> Pids
    end.

%% Who died is asked for nothing any more.
died(Pid, #agent{selected = Selected, supervisors = Above, died = Died} = A) ->
    case Selected of
        #{Pid := Modules} -> A#agent{selected = maps:remove(Pid, Selected), died = [{Pid, Modules} | Died]};
        _ -> A#agent{supervisors = lists:delete(Pid, Above)}
    end.
