%% Copies of states, for a rehearsal: read while everybody goes on. Nothing is suspended or kept for it.
%%
%% A state is copied by the process that has it, so who has much memory is not asked, and few are asked at once. An
%% answer that comes too late finds nobody: who asks is a process of its own.

-define(MOST, 10000).  % processes of a module
-define(LARGE, 16#1000000).  % bytes of memory of a process that is asked, and of its state as it is sent
-define(ALL, 16#8000000).  % bytes of memory of all that are asked
-define(AT_ONCE, 200).
-define(BUSY, 1000).  % milliseconds that all of them have
-define(SHOWN, 20).

%% {ok, Copies, #{Why => {How many were not read, Some of them}}, [{Module, How many there are}]}; the copies are one
%% binary: {Environments, [{Label, Name, Kind, Modules, State and dictionary}]}.
copies(Modules, Changed, #agent{census = Known}) ->
    Read = fun() -> exit({relup_returned, read(Modules, Changed, Known)}) end,
    {Pid, Monitor} = spawn_opt(Read, [monitor, {max_heap_size, 0}]),
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, Copies}} -> Copies;
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, words(Reason)}
    after 2 * ?LIMIT ->
        exit(Pid, kill),
        {failed, <<"the states could not be read in time">>}
    end.

read(Modules, Changed, Known) ->
    #census{servers = Servers, tops = Tops, beyond = Beyond} = census(Modules, Known),
    Wanted = maps:from_keys(Changed, true),
    All = [{P, Ms} || {P, Told, _} <- Servers ++ Tops ++ Beyond, (Ms = [M || M <- Told, is_map_key(M, Wanted)]) =/= []],
    Of = [{M, [Each || {_, [First | _]} = Each <- All, First =:= M]} || M <- Changed],
    {Asked, Large} = within(lists:append([spread(Some) || {_, Some} <- Of]), 0, [], []),
    {Copies, Unlike, Busy} = collected(Asked, #{}, ?NOW + ?BUSY, [], []),
    Unread = #{large => some(Large ++ [P || {P, large} <- Unlike]), busy => some(Busy),
        mute => some([P || {P, mute} <- Unlike])},
    Blob = term_to_binary({environments(), [Copy || {_, Copy} <- lists:sort(Copies)]}),
    {ok, Blob, Unread, [{M, length(Some)} || {M, Some} <- Of]}.

%% Of many, as many as there may be, evenly.
spread(All) when length(All) =< ?MOST -> All;
spread(All) ->
    Count = length(All),
    [Each || {N, Each} <- lists:zip(lists:seq(1, Count), All), N * ?MOST div Count > (N - 1) * ?MOST div Count].

%% {Those whose memory is not too much, alone and together, Those that have too much alone}.
within([], _, Asked, Large) -> {lists:reverse(Asked), Large};
within([{P, Ms} | Rest], Sum, Asked, Large) ->
    case process_info(P, [memory, registered_name]) of
        [{memory, Bytes}, _] when Bytes > ?LARGE -> within(Rest, Sum, Asked, [P | Large]);
        [{memory, Bytes}, {_, Name}] when Sum + Bytes =< ?ALL ->
            within(Rest, Sum + Bytes, [{P, Ms, Name} | Asked], Large);
        _ -> within(Rest, Sum, Asked, Large)
    end.

%% {Copies, [{Pid, Why there is none}], Those that have not answered}.
collected([], Pending, _, Copies, Unlike) when map_size(Pending) =:= 0 -> {Copies, Unlike, []};
collected([{P, _, _} = Next | Rest], Pending, Until, Copies, Unlike) when map_size(Pending) < ?AT_ONCE ->
    Monitor = monitor(process, P),
    P ! {system, {self(), {Monitor, state}}, get_state},
    collected(Rest, Pending#{Monitor => Next}, Until, Copies, Unlike);
collected(Queue, Pending, Until, Copies, Unlike) ->
    receive
        {{Monitor, state}, Answer} when is_map_key(Monitor, Pending) ->
            demonitor(Monitor, [flush]),
            {{P, _, _} = Who, Others} = maps:take(Monitor, Pending),
            case copy(Who, Answer) of
                Why when is_atom(Why) -> collected(Queue, Others, Until, Copies, [{P, Why} | Unlike]);
                Copy -> collected(Queue, Others, Until, [{P, Copy} | Copies], Unlike)
            end;
        {'DOWN', Monitor, process, _, _} -> collected(Queue, maps:remove(Monitor, Pending), Until, Copies, Unlike)
    after max(0, Until - ?NOW) -> {Copies, Unlike, [P || {P, _, _} <- maps:values(Pending) ++ Queue]}
    end.

copy(_, {error, {callback_failed, _, _}}) -> mute;
copy({P, [M | _] = Ms, Name}, State) ->
    case erlang:external_size(State) > ?LARGE orelse process_info(P, dictionary) of
        true -> large;
        {dictionary, Entries} ->
            {label(P, Name, M), Name, kind(P, Ms, State, initial_call(P)), Ms, term_to_binary({State, Entries})};
        undefined -> gone
    end.

label(_, Name, _) when is_atom(Name) -> atom_to_binary(Name);
label(P, _, M) -> unicode:characters_to_binary([pid_to_list(P), " (", atom_to_list(M), ")"]).

%% How OTP changes a state like that: whose code_change is called, and how.
kind(_, _, _, {gen_event, _, _}) -> gen_event;
kind(_, _, #{'__struct__' := Dynamic}, {supervisor, _, _}) -> {gen_server, Dynamic};  % of Elixir
kind(_, _, _, {supervisor, _, _}) -> {gen_server, supervisor};
kind(P, Ms, State, {M, F, _}) ->
    Has = fun(Callback, Arity) -> erlang:function_exported(M, Callback, Arity) end,
    case {F, Has(callback_mode, 0), Has(system_code_change, 4)} of
        {init, true, _} -> {gen_statem, M};
        {_, _, true} -> case Has(system_get_state, 1) of true -> none; false -> {special, M} end;
        {init, _, _} -> {gen_server, wrapper(State, M)};
        _ -> entered(Ms, stack(P))
    end.

%% A behaviour of somebody else's, such as GenStage, is the server itself; it passes for the module in its state.
wrapper(#{'__struct__' := Behaviour} = State, M) when Behaviour =/= M ->
    case erlang:function_exported(Behaviour, code_change, 3) andalso lists:member(M, maps:values(State)) of
        true -> Behaviour;
        false -> M
    end;
wrapper(_, M) -> M.

%% A server that something else began: its loop has the callback module on the stack. An agent is one of Elixir's own.
entered(Ms, Text) ->
    Has = fun(M) -> binary:match(Text, <<"     ", (written(M))/binary, "\n">>) =/= nomatch end,
    case in_frames(Text, binary:compile_pattern(<<"(gen_server:">>)) andalso lists:filter(Has, ['Elixir.Agent.Server' | Ms]) of
        [M | _] -> {gen_server, M};
        _ -> none
    end.

some(Pids) -> {length(Pids), [label(P, registered(P), initial(P)) || P <- lists:sublist(Pids, ?SHOWN)]}.

registered(P) ->
    case process_info(P, registered_name) of
        {registered_name, Name} -> Name;
        _ -> []
    end.

%% What code asks applications for; those of Erlang's own have theirs everywhere.
environments() -> [{App, application:get_all_env(App)} || App <- loaded() -- [kernel, stdlib]].
