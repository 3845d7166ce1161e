%% The part of an upgrade that lives in the node: the journal, the way back, and the lease.
%%
%% One process, registered as relup_agent while an upgrade is in progress, and gone after it. It carries out what a
%% controller asks for through its bridge, remembers what takes that back, and takes it back by itself when the bridge
%% is gone, or silent for longer than the lease. So nothing stays suspended, whoever dies.
%%
%% Effects take batches: all messages are sent before the first answer is waited for. An old state stays in its own
%% process, in its dictionary; it is never copied, whatever its size. What processes are asked to call are external
%% functions, so nobody keeps code of this module.
-module(relup_agent).

-export([start/3]).
-export([stash/1, unstash/1, forget/1]).

-define(STATES, '$relup_states').
-define(ANSWER, 5000).
%% How often suspending begins again because somebody waits for one who is suspended, and when that is first looked for.
-define(TRIES, 6).
-define(PROBE, 5).
%% What the answers of one process take in the heap, in words.
-define(WORDS, 120).
%% How long the others wait no more for a code_change that hangs, before it is said to.
-define(GRACE, 100).

-record(window, {
    %% {Module, File, Binary} of what comes and of what it replaces, and what code:prepare_loading made of them
    new = [],
    old = [],
    removed = [],
    prepared = #{}
}).

-record(agent, {
    owner,
    bridge,
    lease,
    heard,
    nobody,
    windows = #{},
    %% what leads back to the base should the bridge be lost between two windows: groups of requests, the first to be
    %% done first; a group is a call, or a window
    back = [],
    %% of the open window: its modules, modules by process, monitors by process, all processes before it and after load
    modules = [],
    selected = #{},
    supervisors = [],
    monitors = #{},
    known = none,
    present = none,
    asked = [],
    %% who was let go on, and may not have forgotten what it kept yet
    released = [],
    changed = [],
    stuck = [],
    loaded = none,
    died = [],
    stopped = #{},
    %% what applications were before they became what the goal has, and their environments then
    became = [],
    environment = none
}).

%% ── its life ──────────────────────────────────────────────────────────────────────────────────────────

%% Become the agent of this node for Owner (a text), as long as Bridge lives and is heard of every Lease milliseconds.
start(Owner, Bridge, Lease) ->
    Tag = make_ref(),
    Self = self(),
    Options = [monitor, {priority, high}],
    {Pid, Monitor} = spawn_opt(fun() -> init({Self, Tag}, Owner, Bridge, Lease) end, Options),
    receive
        {Tag, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Pid, Reason} ->
            {failed, Reason}
    end.

init({Starter, Tag}, Owner, Bridge, Lease) ->
    group_leader(whereis(init), self()),
    case catch register(?MODULE, self()) of
        true ->
            put(owner, Owner),
            monitor(process, Bridge),
            Nobody = spawn(fun() -> ok end),
            Starter ! {Tag, {ok, self()}},
            loop(#agent{owner = Owner, bridge = Bridge, lease = Lease, heard = now_ms(), nobody = Nobody});
        _ ->
            Starter ! {Tag, {busy, holder()}}
    end.

holder() ->
    case whereis(?MODULE) of
        undefined -> <<"somebody">>;
        Pid ->
            case process_info(Pid, dictionary) of
                {dictionary, Entries} -> proplists:get_value(owner, Entries, <<"somebody">>);
                undefined -> <<"somebody">>
            end
    end.

now_ms() -> erlang:monotonic_time(millisecond).

loop(A) ->
    receive
        {heartbeat, _} ->
            loop(A#agent{heard = now_ms()});
        {'$gen_call', From, Request} ->
            {Reply, Next} = attempt(Request, A),
            gen:reply(From, Reply),
            Request =:= finish orelse loop(Next#agent{heard = now_ms()});
        {'DOWN', _, process, Pid, _} when Pid =:= A#agent.bridge ->
            lost(A);
        {'DOWN', _, process, Pid, _} ->
            loop(died(Pid, A));
        expired ->
            lost(A);
        _ ->
            loop(A)
    after silence(A) ->
        lost(A)
    end.

%% How long the bridge may still be silent; for ever once the upgrade waits for nothing but to be confirmed.
silence(#agent{lease = infinity}) -> infinity;
silence(#agent{heard = Heard, lease = Lease}) -> max(0, Heard + Lease - now_ms()).

%% Answer a request. One that fails as nobody thought it could leaves a window that can be rolled back all the same.
attempt(Request, A) ->
    try handle(Request, A)
    catch
        throw:{lost, Now} -> lost(Now);
        Class:Reason:Stack -> {{crashed, words({Class, Reason, Stack})}, doubtful(Request, A)}
    end.

%% What may have been done by a request that did not come to its end. To resume who runs, and to forget what is not
%% kept, changes nothing.
doubtful({load, Number, Side}, A) -> A#agent{loaded = {Number, Side}};
doubtful({suspend, _}, #agent{selected = Selected, supervisors = Above} = A) ->
    A#agent{asked = maps:keys(Selected) ++ Above};
doubtful({change_code, _, _, _, _}, #agent{selected = Selected} = A) -> A#agent{changed = maps:keys(Selected)};
doubtful(_, A) -> A.

%% Take everything back, and end.
lost(A) ->
    Alone = A#agent{bridge = none, lease = infinity},
    {{ok, _, _, Remains}, Rolled} = rollback(Alone),
    {More, Last} = lists:mapfoldl(fun lead_back/2, Rolled#agent{back = []}, A#agent.back),
    forgotten(Last),
    tell(Remains ++ lists:append(More), A),
    [purge({Number, new}, A) || Number <- maps:keys(A#agent.windows)],
    vanish(),
    exit(normal).

%% Carry out a group of requests; when one of them fails the window that they opened is rolled back.
lead_back([], A) -> {[], A};
lead_back([Request | Rest], A) ->
    {Answer, Next} = attempt(Request, A),
    case well(Answer) of
        true -> lead_back(Rest, Next);
        false ->
            {_, Rolled} = rollback(Next),
            {[words({Request, Answer})], Rolled}
    end.

well(ok) -> true;
well({ok, _}) -> true;
well({ok, _, _}) -> true;
well(_) -> false.

%% Nobody else is left to be told what could not be taken back.
tell([], _) -> ok;
tell(Remains, #agent{owner = Owner}) ->
    logger:error("the upgrade by ~ts was lost, and not all of it could be taken back: ~ts", [Owner, lists:join("; ", Remains)]).

%% Let somebody who runs no code of this module take it away.
vanish() ->
    Text = "M = monitor(process, P), receive {'DOWN', M, process, P, _} -> ok end,"
        "code:delete(A), code:soft_purge(A).",
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    spawn(erl_eval, exprs, [Expressions, [{'P', self()}, {'A', ?MODULE}]]).

%% Who died is asked for nothing any more.
died(Pid, #agent{selected = Selected, supervisors = Above, died = Died} = A) ->
    case Selected of
        #{Pid := Modules} -> A#agent{selected = maps:remove(Pid, Selected), died = [{Pid, Modules} | Died]};
        _ -> A#agent{supervisors = lists:delete(Pid, Above)}
    end.

%% The dead have no name any more: what they ran says more than their number.
late({Pid, Modules}) ->
    {Pid, iolist_to_binary(io_lib:format("~ts (~ts)", [pid_to_list(Pid), lists:join(", ", [atom_to_binary(M) || M <- Modules])])), undefined}.

%% ── requests ──────────────────────────────────────────────────────────────────────────────────────────

handle({prepare, Number, News, Removed}, A) -> prepare(Number, News, Removed, A);
handle({concerned, Modules, Code}, A) -> {concerned(Modules, Code), A};
handle({select, Modules}, A) -> select(Modules, A);
handle({suspend, Timeouts}, A) -> suspend(Timeouts, A);
handle({load, Number, Side}, A) -> load_open(Number, Side, A);
handle({change_code, Number, Side, Mode, Changes}, A) ->
    change_code([{M, old_vsn(M, Mode, Side, maps:get(Number, A#agent.windows)), X, L} || {M, X, L} <- Changes], A);
handle({call, {M, F, Args}, Timeout}, A) -> call(M, F, Args, Timeout, A);
handle({stop, Modules}, A) -> stop(Modules, A);
handle({start, Modules}, A) -> start(Modules, A);
handle(verify, A) ->
    case between(A) of
        [] -> {{ok, lists:map(fun late/1, A#agent.died)}, A};
        Born -> {{born, lists:map(fun describe/1, Born)}, A}
    end;
handle({leading_back, Request, Back}, A) ->
    case handle(Request, A) of
        {ok, Next} -> {ok, Next#agent{back = Back}};
        Failed -> Failed
    end;
handle({become, Applications}, A) -> become(Applications, A);
handle({resume, Back}, A) -> resume(A#agent{back = Back});
handle(config_change, A) -> config_change(A);
handle(rollback, A) -> rollback(A);
handle({provisional, Milliseconds, Back}, A) -> provisional(Milliseconds, Back, A);
handle({digests, Modules}, A) -> {[{M, digest(M)} || M <- Modules], A};
handle(finish, A) -> {forgotten(A), A}.

%% ── code ──────────────────────────────────────────────────────────────────────────────────────────────

%% Ready both directions: the new code, and that which runs, found again in its file and compared by md5.
prepare(Number, News, Removed, #agent{windows = Windows} = A) ->
    Modules = [M || {M, _, _} <- News] ++ Removed,
    Loaded = [M || M <- Modules, code:is_loaded(M) =/= false],
    Olds = [{M, running(M)} || M <- Loaded],
    Window = #window{new = News, old = [Old || {_, {_, _, _} = Old} <- Olds], removed = Removed},
    Wrong =
        [{not_purged, M, users(M)} || M <- Modules, erlang:check_old_code(M), not code:soft_purge(M)] ++
        [{sticky, M, []} || M <- Modules, code:is_sticky(M)] ++
        [{no_old_code, M, []} || {M, none} <- Olds],
    case Wrong =:= [] andalso {prepared(News), prepared(Window#window.old)} of
        false -> {{error, Wrong}, A};
        {{ok, New}, {ok, Old}} ->
            {ok, A#agent{windows = Windows#{Number => Window#window{prepared = #{new => New, old => Old}}}}};
        {New, Old} ->
            Reasons = lists:usort([Reason || {error, Reasons} <- [New, Old], Reason <- Reasons]),
            {{error, [{unfit(Reason), M, []} || {M, Reason} <- Reasons]}, A}
    end.

unfit(on_load_not_allowed) -> on_load;
unfit(Reason) -> words(Reason).

prepared([]) -> {ok, none};
prepared(Files) -> code:prepare_loading(Files).

%% The code of a module that runs, as its file has it; none when no file does.
running(M) ->
    Md5 = M:module_info(md5),
    case code:which(M) of
        File when is_list(File) ->
            case file:read_file(File) of
                {ok, Binary} ->
                    case beam_lib:md5(Binary) of
                        {ok, {M, Md5}} -> {M, File, Binary};
                        _ -> none
                    end;
                _ -> none
            end;
        _ -> none
    end.

digest(M) ->
    case erlang:module_loaded(M) of
        true -> M:module_info(md5);
        false -> none
    end.

%% The version that a process's state is of, as code_change is told: on the way down it is the one to go back to.
old_vsn(M, up, Side, Window) -> vsn(M, element(1, side(Window, other(Side))));
old_vsn(M, down, Side, Window) -> {down, vsn(M, element(1, side(Window, Side)))}.

other(new) -> old;
other(old) -> new.

vsn(M, Files) ->
    case lists:keyfind(M, 1, Files) of
        {M, _, Binary} ->
            {ok, {M, Vsn}} = beam_lib:version(Binary),
            one(Vsn);
        false ->
            one(proplists:get_value(vsn, M:module_info(attributes), []))
    end.

%% -vsn("1") is given as the string, -vsn(1) as a list of it.
one([Vsn] = List) ->
    case io_lib:printable_unicode_list(List) of
        true -> List;
        false -> Vsn
    end;
one(Vsn) -> Vsn.

users(M) -> [describe(P) || P <- processes(), erlang:check_process_code(P, M)].

%% Make one side of a window current, all modules at once.
load(Number, Side, A) ->
    #agent{windows = #{Number := Window} = Windows} = A,
    case loaded_meanwhile(Window, Side) =:= [] andalso exchange(Window, Side) of
        {ok, Used} -> {ok, A#agent{loaded = {Number, Side}, windows = Windows#{Number := Used}}};
        {error, Reasons} -> {{error, [{M, words(Reason)} || {M, Reason} <- Reasons]}, A};
        false -> {{error, [{M, words(loaded_meanwhile)} || M <- loaded_meanwhile(Window, Side)]}, A}
    end.

%% Modules that were not loaded when the window was made ready, and are now: what would take them back is not at hand.
loaded_meanwhile(#window{new = News, old = Olds}, new) ->
    [M || {M, _, _} <- News, not lists:keymember(M, 1, Olds), erlang:module_loaded(M)];
loaded_meanwhile(_, old) -> [].

%% Load in the open window: who was born since it was opened is suspended first.
load_open(Number, Side, A) ->
    case catch_up(?TRIES, A) of
        {ok, Next} ->
            %% on the way down over a window that was resumed, what it replaced still lies in the old slot
            [code:soft_purge(M) || M <- modules(Number, A), erlang:check_old_code(M)],
            case load(Number, Side, Next) of
                {ok, Loaded} -> {ok, Loaded#agent{present = processes()}};
                Failed -> Failed
            end;
        Failed -> Failed
    end.

exchange(#window{prepared = Prepared} = Window, Side) ->
    {Files, Gone} = side(Window, Side),
    Ready = case Prepared of
        #{Side := Before} -> {ok, Before};
        _ -> prepared(Files)
    end,
    case Ready of
        {ok, none} -> removed(Gone, Window);
        {ok, Code} ->
            case code:finish_loading(Code) of
                ok -> removed(Gone, Window#window{prepared = maps:remove(Side, Prepared)});
                {error, Reasons} -> {error, Reasons}
            end;
        {error, Reasons} -> {error, Reasons}
    end.

side(#window{new = News, removed = Removed}, new) -> {News, Removed};
side(#window{new = News, old = Olds}, old) -> {Olds, [M || {M, _, _} <- News, not lists:keymember(M, 1, Olds)]}.

removed(Gone, Window) ->
    [code:delete(M) || M <- Gone],
    {ok, Window}.

%% ── processes ─────────────────────────────────────────────────────────────────────────────────────────

%% A process for people: how it is called, and where it is.
describe(Pid) ->
    Name = case catch process_info(Pid, registered_name) of
        {registered_name, Registered} -> atom_to_binary(Registered);
        _ -> list_to_binary(pid_to_list(Pid))
    end,
    Function = case catch process_info(Pid, current_function) of
        {current_function, Current} -> Current;
        _ -> undefined
    end,
    {Pid, Name, Function}.

%% A reason in words; a reason may hold a state of any size.
words(Reason) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 20], [{chars_limit, 400}])).

%% Who uses these modules: what supervision trees say, and for the others what they were started by.
%% {ok, Found, Beyond, Mute, Silent}: the first two are [{Pid, Modules, Supervisor}], beyond are those that stand in no
%% tree; mute ones have no ear for system messages; silent supervisors did not answer.
census(Modules) ->
    Wanted = maps:from_keys(Modules, true),
    {Trees, Supervisors, Silent} = trees(),
    Using = [{P, Ms, S} || {P, All, S} <- Trees, (Ms = [M || M <- All, is_map_key(M, Wanted)]) =/= []],
    Tops = [{P, [M], S} || {P, S} <- Supervisors, M <- [initial(P)], is_map_key(M, Wanted)],
    InTree = maps:from_list([{P, true} || {P, _, _} <- Trees] ++ [{P, true} || {P, _} <- Supervisors]),
    Others = [{P, [M], parent(P)} || P <- processes(), not is_map_key(P, InTree),
              M <- [initial(P)], is_map_key(M, Wanted)],
    {Found, Deaf} = lists:partition(fun hears/1, Using ++ Tops),
    {Beyond, Too} = lists:partition(fun hears/1, Others),
    {ok, Found, Beyond, [describe(P) || {P, _, _} <- Deaf ++ Too], [describe(P) || P <- Silent]}.

%% What there is to be said before a window: how many it concerns, who of them is in no tree, who cannot be suspended,
%% which supervisors are silent, and who stands in the code that is to be replaced.
concerned(Modules, Code) ->
    {ok, Found, Beyond, Mute, Silent} = census(Modules),
    Concerned = maps:from_list([{P, true} || {P, _, _} <- Found ++ Beyond]),
    {ok, map_size(Concerned), [describe(P) || {P, _, _} <- Beyond], Mute, Silent, lingering(Code, Concerned)}.

%% The module that a process was started to run, as proc_lib knows it.
initial(Pid) ->
    case proc_lib:initial_call(Pid) of
        {supervisor, M, _} -> M;
        {M, _, _} -> M;
        false -> none
    end.

%% The supervisor that started a process which no tree shows.
parent(Pid) ->
    Ancestors = case process_info(Pid, dictionary) of
        {dictionary, Entries} -> proplists:get_value('$ancestors', Entries, []);
        undefined -> []
    end,
    case Ancestors of
        [Name | _] when is_atom(Name) -> supervisor(whereis(Name));
        [Parent | _] -> supervisor(Parent);
        [] -> none
    end.

supervisor(Pid) when is_pid(Pid), node(Pid) =:= node() ->
    case proc_lib:initial_call(Pid) of
        {supervisor, _, _} -> Pid;
        {'Elixir.DynamicSupervisor', _, _} -> Pid;
        _ -> none
    end;
supervisor(_) -> none.

%% Does it take system messages? What its module is tells of most; the others are looked at, one by one.
hears({Pid, _, _}) ->
    case proc_lib:initial_call(Pid) of
        {supervisor, _, _} -> true;
        {gen_event, _, _} -> true;
        {M, init, _} -> serves(M) orelse loops(Pid);
        {M, _, _} -> erlang:function_exported(M, system_continue, 3) orelse loops(Pid);
        false -> loops(Pid)
    end.

serves(M) ->
    case get({serves, M}) of
        undefined ->
            Callbacks = [{handle_call, 3}, {callback_mode, 0}, {system_continue, 3}],
            Is = lists:any(fun({F, Arity}) -> erlang:function_exported(M, F, Arity) end, Callbacks),
            put({serves, M}, Is),
            Is;
        Is -> Is
    end.

loops(Pid) ->
    Marks = [<<"(gen_server:">>, <<"(gen_statem:">>, <<"(gen_event:">>, <<"(gen_fsm:">>, <<"(sys:">>],
    process_info(Pid, current_function) =:= {current_function, {erlang, hibernate, 3}}
        orelse stands_in(Pid, binary:compile_pattern(Marks)).

%% {[{Pid, Modules, Supervisor}], [{Supervisor, Its supervisor}], Silent supervisors}, from all running applications.
trees() ->
    Names = [Name || {Name, _, _} <- application:which_applications(?ANSWER)],
    Masters = [M || Name <- Names, M <- [application_controller:get_master(Name)], is_pid(M)],
    Tops = [{P, none} || M <- Masters, {P, _} <- [application_master:get_child(M)], is_pid(P)],
    level(Tops, [], [], []).

level([], Found, Supervisors, Silent) -> {Found, Supervisors, Silent};
level(Level, Found, Supervisors, Silent) ->
    {Families, Mute} = ask([P || {P, _} <- Level], '$gen_call', which_children),
    Children = [{P, Type, Ms, S} || {S, List} <- Families, {_, P, Type, Ms} <- List, is_pid(P)],
    {Below, Workers} = lists:partition(fun is_supervisor/1, Children),
    {Dynamic, Plain} = lists:partition(fun({_, _, Ms, _}) -> Ms =:= dynamic end, Workers),
    {Told, _} = ask([P || {P, _, _, _} <- Dynamic], self(), get_modules),
    Handlers = maps:from_list(Told),
    More = [{P, Ms, S} || {P, _, Ms, S} <- Plain] ++
        [{P, maps:get(P, Handlers, []), S} || {P, _, _, S} <- Dynamic],
    level([{P, S} || {P, _, _, S} <- Below], More ++ Found, Level ++ Supervisors, Mute ++ Silent).

%% A child that is a supervisor is one, whatever its spec says.
is_supervisor({_, supervisor, _, _}) -> true;
is_supervisor({_, _, [M], _}) ->
    case get({behaviours, M}) of
        undefined ->
            Is = erlang:module_loaded(M) andalso supervises(M),
            put({behaviours, M}, Is),
            Is;
        Is -> Is
    end;
is_supervisor(_) -> false.

supervises(M) ->
    Said = [B || {Key, Bs} <- M:module_info(attributes), Key =:= behaviour orelse Key =:= behavior, B <- Bs],
    lists:any(fun(B) -> lists:member(B, [supervisor, 'Elixir.Supervisor', 'Elixir.DynamicSupervisor']) end, Said).

%% Call many servers at once, as gen does; {[{Pid, Answer}], Those that did not answer}.
ask(Pids, Label, Request) -> ask(Pids, Label, Request, ?ANSWER).

ask(Pids, Label, Request, Limit) ->
    Batch = make_ref(),
    Monitors = [begin P ! {Label, {self(), {Batch, P}}, Request}, monitor(process, P) end || P <- Pids],
    Answers = answers(Batch, maps:from_keys(Pids, true), now_ms() + Limit, []),
    [demonitor(M, [flush]) || M <- Monitors],
    {Answers, Pids -- [P || {P, _} <- Answers]}.

answers(_, Pending, _, Answers) when map_size(Pending) =:= 0 -> Answers;
answers(Batch, Pending, Until, Answers) ->
    receive
        {{Batch, P}, Answer} -> answers(Batch, maps:remove(P, Pending), Until, [{P, Answer} | Answers]);
        {'DOWN', _, process, P, _} when is_map_key(P, Pending) ->
            answers(Batch, maps:remove(P, Pending), Until, Answers)
    after max(0, Until - now_ms()) -> Answers
    end.

%% Whose stacks stand in these modules: a way back would have to kill them.
lingering(Modules, Except) ->
    Marks = [<<"(", (atom_to_binary(M))/binary, ":">> || M <- Modules],
    Pattern = binary:compile_pattern(Marks ++ [<<"('", (atom_to_binary(M))/binary, "':">> || M <- Modules]),
    [describe(P) || P <- processes(), P =/= self(), not is_map_key(P, Except), stands_in(P, Pattern)].

stands_in(Pid, Pattern) ->
    case process_info(Pid, backtrace) of
        {backtrace, Text} ->
            Lines = [L || L <- binary:split(Text, <<"\n">>, [global]), is_frame(L)],
            lists:any(fun(L) -> binary:match(L, Pattern) =/= nomatch end, Lines);
        undefined -> false
    end.

is_frame(<<"Program counter", _/binary>>) -> true;
is_frame(Line) -> binary:match(Line, <<"Return addr">>) =/= nomatch.

%% ── the window ────────────────────────────────────────────────────────────────────────────────────────

%% Take the census, and watch whom it found.
select(Modules, A) ->
    case census(Modules) of
        {ok, Found, Beyond, [], []} ->
            Before = A#agent{modules = Modules, selected = #{}, supervisors = [], monitors = #{}, died = []},
            Next = watch(Found ++ Beyond, Before),
            make_room(map_size(Next#agent.selected)),
            {{ok, map_size(Next#agent.selected)}, Next#agent{known = maps:from_keys(processes(), true), present = none}};
        {ok, _, _, [], Silent} -> {{silent, Silent}, A};
        {ok, _, _, Mute, _} -> {{mute, Mute}, A}
    end.

%% All answers of a batch lie in one heap. To collect it while it grows is half of a window over many processes, so it is
%% made large before the window is opened; small ones are left as they are.
make_room(Count) when Count < 500 -> ok;
make_room(Count) ->
    process_flag(min_heap_size, Count * ?WORDS),
    garbage_collect(),
    ok.

watch(All, #agent{selected = Before, supervisors = Above, monitors = Monitors} = A) ->
    Found = maps:from_list([{P, Ms} || {P, Ms, _} <- All]),
    Selected = maps:merge(Before, Found),
    Over = lists:usort(Above ++ [S || {_, _, S} <- All, S =/= none, not is_map_key(S, Selected)]),
    New = [P || P <- maps:keys(Found) ++ Over, not is_map_key(P, Monitors)],
    Watched = maps:from_list([{P, monitor(process, P)} || P <- New]),
    A#agent{selected = Selected, supervisors = Over, monitors = maps:merge(Monitors, Watched)}.

%% Suspend all, and let each keep its state aside; the answer to the second tells of the first. One time limit runs for
%% all; modules may have limits of their own.
%%
%% Who waits in a call to one that is suspended does not get to suspend. Then all go on, until those that waited have
%% their answers, and it begins again with them: callers before whom they call.
suspend(Limits, #agent{selected = Selected, supervisors = Above} = A) ->
    case settle([Above ++ maps:keys(Selected)], ?TRIES, now_ms(), Limits, A#agent{asked = []}) of
        {ok, #agent{selected = Still} = Next} -> {{ok, map_size(Still)}, Next};
        Failed -> Failed
    end.

settle(Stages, Tries, Start, Limits, A) ->
    case stages(Stages, Tries, Start, Limits, A) of
        {again, Waiting, Late, Batch, Next} ->
            Resumed = release(Next),
            Until = lists:min([Start + limit(P, Limits, Next) || P <- Late]),
            case collect(Batch, Late, Until, Resumed) of
                {ok, _, Ready} -> settle([Waiting | [S -- Waiting || S <- Stages]], Tries - 1, Start, Limits, Ready);
                {late, Stuck, _, Ready} -> {{late, lists:map(fun describe/1, Stuck)}, Ready}
            end;
        Other -> Other
    end.

stages([], _, _, _, A) -> {ok, A};
stages([Pids | Rest], Tries, Start, Limits, #agent{asked = Asked} = A) ->
    Alive = [P || P <- Pids, is_map_key(P, A#agent.selected) orelse lists:member(P, A#agent.supervisors)],
    Batch = still(Alive, A),
    %% many take their time to be asked at all, which is no reason to look at each of them
    Probe = now_ms() + (?PROBE bsl (?TRIES - Tries)) + length(Alive) div 50,
    case stage(Batch, Alive, Probe, Tries, Start, Limits, A#agent{asked = Alive ++ Asked}) of
        {ok, Next} -> stages(Rest, Tries, Start, Limits, Next);
        Other -> Other
    end.

stage(Batch, [], _, _, _, _, A) -> _ = Batch, {ok, A};
stage(Batch, Pids, Probe, Tries, Start, Limits, A) ->
    Ends = lists:usort([limit(P, Limits, A) || P <- Pids]),
    Until = Start + hd(Ends),  % and every number is less than infinity
    {Kept, Late, Next} = case collect(Batch, Pids, min(Probe, Until), A) of
        {ok, Answers, All} -> {Answers, [], All};
        {late, Missing, Answers, Some} -> {Answers, Missing, Some}
    end,
    Now = now_ms(),
    Over = [P || P <- Late, Start + limit(P, Limits, Next) =< Now],
    case [describe(P) || {{_, P}, Answer} <- Kept, not is_kept(Answer)] of
        [] when Over =/= [] -> {{late, lists:map(fun describe/1, Over)}, Next};
        [] when Tries > 0, Now >= Probe, Late =/= [] ->
            case [P || P <- Late, waits(P)] of
                [] -> stage(Batch, Late, infinity, Tries, Start, Limits, Next);
                Waiting -> {again, Waiting, Late, Batch, Next}
            end;
        [] -> stage(Batch, Late, infinity, Tries, Start, Limits, Next);
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
    Keep = {replace_state, fun ?MODULE:stash/1},
    [begin P ! {system, {Nobody, Batch}, suspend}, P ! {system, {self(), {Batch, P}}, Keep} end || P <- Pids],
    Batch.

limit(P, Limits, #agent{selected = Selected}) ->
    case Selected of
        #{P := Modules} -> lists:max([maps:get(M, Limits, ?ANSWER) || M <- Modules]);
        _ -> ?ANSWER
    end.

%% Suspend who was born since the window was opened, until nobody new is found. Whose states were changed before the
%% load cannot be joined any more: verify/1 finds whoever came too late for it.
catch_up(_, #agent{known = none} = A) -> {ok, A};
catch_up(0, A) -> {ok, A};
catch_up(Tries, #agent{known = Known, modules = Modules, changed = []} = A) ->
    Wanted = maps:from_keys(Modules, true),
    New = [P || P <- processes(), not is_map_key(P, Known)],
    Next = A#agent{known = maps:merge(Known, maps:from_keys(New, true))},
    case [{P, [M], parent(P)} || P <- New, M <- [initial(P)], is_map_key(M, Wanted)] of
        [] -> {ok, Next};
        Born ->
            Before = Next#agent.supervisors,
            Watching = watch(Born, Next),
            Joining = [P || {P, _, _} <- Born] ++ (Watching#agent.supervisors -- Before),
            case stages([Joining], 0, now_ms(), #{}, Watching) of
                {ok, Joined} -> catch_up(Tries - 1, Joined);
                Failed -> Failed
            end
    end;
catch_up(_, A) -> {ok, A}.

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
        {heartbeat, _} -> collect(Batch, Left, Answers, Until, Asked, A#agent{heard = now_ms()})
    after wait(Until, A) ->
        case now_ms() >= Until of
            true -> {late, Asked -- [P || {{_, P}, _} <- Answers], Answers, A};
            false -> throw({lost, A})
        end
    end.

%% How long to wait before either is over: the step, or the lease.
wait(Until, #agent{lease = infinity}) -> max(0, Until - now_ms());
wait(Until, #agent{heard = Heard, lease = Lease}) -> max(0, min(Until, Heard + Lease) - now_ms()).

%% Let the suspended processes of these modules change their states: {Module, Its vsn before, Extra, Limit}.
change_code(Changes, #agent{selected = Selected} = A) ->
    change_code(Changes, maps:to_list(Selected), A).

change_code([], _, A) -> {ok, A};
change_code([{M, Vsn, Extra, Limit} | Rest], Selected, #agent{changed = Changed} = A) ->
    Batch = make_ref(),
    Change = {change_code, M, Vsn, Extra},
    Pids = [P || {P, Ms} <- Selected, lists:member(M, Ms)],
    [P ! {system, {self(), {Batch, P}}, Change} || P <- Pids],
    case collect(Batch, Pids, now_ms() + Limit, A#agent{changed = Pids ++ Changed}) of
        {ok, Answers, Next} ->
            case [{describe(P), words(Reason)} || {{_, P}, {error, Reason}} <- Answers] of
                [] -> change_code(Rest, Selected, Next);
                Failed -> {{failed, M, Failed}, Next}
            end;
        {late, Late, _, Next} -> {{late, M, [describe(P) || P <- Late]}, Next#agent{stuck = Late}}
    end.

%% Who runs a module of the window and came up before the load was over, unseen: its state may be of either version.
between(#agent{present = none}) -> [];
between(#agent{present = Present, known = Known} = A) ->
    [P || P <- born(A), not is_map_key(P, Known), lists:member(P, Present)].

%% Who runs a module of the window and came up after it was opened.
born(#agent{known = none}) -> [];
born(#agent{known = Known, modules = Modules}) ->
    Wanted = maps:from_keys(Modules, true),
    [P || P <- processes(), not is_map_key(P, Known), is_map_key(initial(P), Wanted)].

%% Call a function where nothing of the agent waits for it: what it prints goes to the node, and the lease goes on.
call(M, F, Args, Limit, A) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({relup_returned, apply(M, F, Args)}) end),
    called(Pid, Monitor, now_ms() + Limit, A).

called(Pid, Monitor, Until, #agent{bridge = Bridge} = A) ->
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, _}} -> {ok, A};
        {'DOWN', Monitor, process, Pid, Reason} -> {{failed, words(Reason)}, A};
        {'DOWN', _, process, Bridge, _} -> exit(Pid, kill), throw({lost, A});
        {heartbeat, _} -> called(Pid, Monitor, Until, A#agent{heard = now_ms()})
    after wait(Until, A) ->
        exit(Pid, kill),
        case now_ms() >= Until of
            true -> {late, A};
            false -> throw({lost, A})
        end
    end.

%% End the processes of modules through their supervisors, and start again those that were ended.
stop(Modules, #agent{stopped = Stopped} = A) ->
    {ok, Found, Beyond, _, _} = census(Modules),
    case Beyond of
        [] ->
            Children = [{S, Id} || {P, _, S} <- Found, {Id, Child, _, _} <- supervisor:which_children(S), Child =:= P],
            Ended = [C || {S, Id} = C <- Children, supervisor:terminate_child(S, Id) =:= ok],
            {ok, A#agent{stopped = Stopped#{Modules => Ended}}};
        _ ->
            {{failed, words({no_supervisor, [describe(P) || {P, _, _} <- Beyond]})}, A}
    end.

start(Modules, #agent{stopped = Stopped} = A) ->
    Results = [supervisor:restart_child(S, Id) || {S, Id} <- maps:get(Modules, Stopped, [])],
    case [R || {error, R} <- Results] of
        [] -> {ok, A#agent{stopped = maps:remove(Modules, Stopped)}};
        Reasons -> {{failed, words(Reasons)}, A}
    end.

%% ── applications ──────────────────────────────────────────────────────────────────────────────────────

%% Let applications be what the goal has: {Application, Its ebin, The text of its .app file}.
%% What was set while the node ran stays as it was set.
become(Applications, A) ->
    Before = [{App, {application, App, Keys}, path(App)} || {App, _, _} <- Applications,
              {ok, Keys} <- [application:get_all_key(App)]],
    Environment = application_controller:prep_config_change(),
    Loaded = [App || {App, _, _} <- Before],
    change([{App, term(Text), Ebin} || {App, Ebin, Text} <- Applications, lists:member(App, Loaded)]),
    {ok, A#agent{became = Before, environment = Environment}}.

change([]) -> ok;
change(Applications) ->
    Environments = [{App, application:get_all_env(App)} || {App, _, _} <- Applications],
    application_controller:change_application_data([Spec || {_, Spec, _} <- Applications], Environments),
    [code:replace_path(App, Ebin) || {App, _, Ebin} <- Applications, filelib:is_dir(Ebin)].

path(App) ->
    case code:lib_dir(App) of
        {error, _} -> "";
        Dir -> filename:join(Dir, "ebin")
    end.

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

%% Tell the applications that run what changed in their environments (Module:config_change/3).
config_change(#agent{environment = none} = A) -> {ok, A};
config_change(#agent{environment = Environment} = A) ->
    Answer = application_controller:config_change(Environment),
    {case Answer of ok -> ok; {error, Reason} -> {failed, words(Reason)} end, A#agent{environment = none, became = []}}.

%% ── the end of the window ─────────────────────────────────────────────────────────────────────────────

%% Let everybody go on; from here on the way back is a downgrade.
resume(A) -> {ok, closed(release(A))}.

%% The upgrade is done, and goes back by itself unless somebody ends the agent in time. Nobody else is needed for that.
provisional(Milliseconds, Back, A) ->
    put(deadline, now_ms() + Milliseconds),
    erlang:send_after(Milliseconds, self(), expired),
    {ok, A#agent{back = Back, bridge = none, lease = infinity}}.

release(#agent{asked = Asked, nobody = Nobody} = A) ->
    Forget = {replace_state, fun ?MODULE:forget/1},
    [begin P ! {system, {Nobody, P}, Forget}, P ! {system, {Nobody, P}, resume} end || P <- lists:reverse(Asked)],
    A#agent{asked = [], released = Asked ++ A#agent.released}.

%% Wait until what was kept is forgotten, for it is this module that forgets; who is busy does so without it, later.
forgotten(#agent{released = Released, nobody = Nobody}) ->
    {_, Busy} = ask(lists:usort(Released), system, {replace_state, fun ?MODULE:forget/1}, ?GRACE),
    Forget = {replace_state, lasting("fun(_) -> erase('$relup_states'), throw(relup) end.")},
    [P ! {system, {Nobody, P}, Forget} || P <- Busy],
    ok.

closed(#agent{monitors = Monitors} = A) ->
    [demonitor(M, [flush]) || M <- maps:values(Monitors)],
    A#agent{
        modules = [], selected = #{}, supervisors = [], monitors = #{}, known = none, present = none, asked = [],
        changed = [], stuck = [], loaded = none, died = [], became = []
    }.

%% Make the code current that was, put the states back that were changed, and let everybody go on. Who was born under
%% the code that is taken back is ended: its state is of that code, and its supervisor starts it again under the other.
%% Nobody waits for a code_change that hangs: what takes it back lies in its mailbox.
rollback(#agent{loaded = Loaded, changed = Changed, died = Died, became = Became, stuck = Stuck} = A) ->
    change(Became),
    {Killed, Failed, Next} = unload(Loaded, A),
    Gone = [P || {P, _} <- Died],
    {Batch, Waited} = put_back(lists:usort(Changed) -- (Stuck ++ Gone), fun ?MODULE:unstash/1, Next),
    {Later, _} = put_back(Stuck -- Gone, lasting("fun(S) -> case erase('$relup_states') of [Old] -> Old; _ -> S end end."), Next),
    Late = missing(Batch, Waited, ?ANSWER, Next),
    Born = case Loaded of none -> []; _ -> [P || P <- born(Next), not is_map_key(P, Next#agent.selected)] end,
    Ended = lists:map(fun describe/1, Born),
    [exit(P, kill) || P <- Born],
    {ok, Closed} = resume(Next),
    Hang = missing(Later, Stuck -- Gone, ?GRACE, Next),
    purge(Loaded, Closed),
    Remains = [words({code, Reason}) || Reason <- Failed] ++ [unrestored(P) || P <- Late ++ Hang],
    {{ok, lists:map(fun late/1, Died), Killed ++ Ended, Remains}, Closed}.

unrestored(Pid) ->
    {_, Name, Function} = describe(Pid),
    Where = case Function of {M, F, Arity} -> io_lib:format("~ts:~ts/~b", [M, F, Arity]); _ -> "?" end,
    unicode:characters_to_binary([Name, " hangs in its code_change, in ", Where, ": it stays suspended until that returns, "
        "and goes on with its old state then; end it to have its supervisor start it again"]).

unload(none, A) -> {[], [], A};
unload({Number, Side}, A) ->
    Back = other(Side),
    Modules = modules(Number, A),
    Killed = lists:append([users(M) || M <- Modules, not code:soft_purge(M)]),
    [code:purge(M) || M <- Modules],
    case load(Number, Back, A) of
        {ok, Next} -> {Killed, [], Next};
        {{error, Reason}, Next} -> {Killed, [Reason], Next}
    end.

purge(none, _) -> ok;
purge({Number, _}, A) -> [code:soft_purge(M) || M <- modules(Number, A)], ok.

modules(Number, #agent{windows = Windows}) ->
    #window{new = News, removed = Removed} = maps:get(Number, Windows),
    [M || {M, _, _} <- News] ++ Removed.

%% Ask processes to put back their states; the answer to the second message tells of the first, without the state being
%% sent along.
put_back(Pids, Unstash, #agent{nobody = Nobody}) ->
    Batch = make_ref(),
    Back = {replace_state, Unstash},
    Forget = {replace_state, fun ?MODULE:forget/1},
    [begin P ! {system, {Nobody, P}, Back}, P ! {system, {self(), {Batch, P}}, Forget} end || P <- Pids],
    {Batch, Pids}.

%% What puts a state back when this module may be gone: a process that hangs takes it up whenever it is free.
lasting(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, [Expression]} = erl_parse:parse_exprs(Tokens),
    {value, Fun, _} = erl_eval:expr(Expression, []),
    Fun.

missing(Batch, Pids, Limit, A) ->
    case collect(Batch, Pids, now_ms() + Limit, A#agent{bridge = none, lease = infinity}) of
        {ok, _, _} -> [];
        {late, Late, _, _} -> Late
    end.

%% ── in the processes ──────────────────────────────────────────────────────────────────────────────────

%% Keep the state, and throw so that it is neither replaced nor sent. A gen_event calls this for each handler.
stash(State) ->
    put(?STATES, [State | kept()]),
    throw(relup).

unstash({M, Id, _} = State) ->
    case kept() of
        [Only] -> Only;
        Several -> hd([S || {SameM, SameId, _} = S <- Several, SameM =:= M, SameId =:= Id] ++ [State])
    end;
unstash(State) ->
    case kept() of
        [Only] -> Only;
        _ -> State
    end.

forget(_) ->
    erase(?STATES),
    throw(relup).

kept() ->
    case get(?STATES) of
        undefined -> [];
        States -> States
    end.
