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
    %% what leads back to the base should the bridge be lost between two windows: requests, the first to be done first
    back = [],
    %% of the open window: modules by process, monitors by process, all processes before it
    selected = #{},
    supervisors = [],
    monitors = #{},
    known = none,
    asked = [],
    changed = [],
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
            {Reply, Next} = try handle(Request, A) catch throw:{lost, Now} -> lost(Now) end,
            gen:reply(From, Reply),
            Request =:= finish orelse loop(Next#agent{heard = now_ms()});
        {'DOWN', _, process, Pid, _} when Pid =:= A#agent.bridge ->
            lost(A);
        {'DOWN', _, process, Pid, _} ->
            loop(died(Pid, A));
        _ ->
            loop(A)
    after max(0, A#agent.heard + A#agent.lease - now_ms()) ->
        lost(A)
    end.

%% Take everything back, and end.
lost(A) ->
    Alone = A#agent{bridge = none, lease = infinity},
    {_, Rolled} = rollback(Alone),
    lists:foldl(fun(Request, Before) -> {_, After} = handle(Request, Before), After end, Rolled, A#agent.back),
    vanish(),
    exit(normal).

%% Let somebody who runs no code of this module take it away.
vanish() ->
    Text = "M = monitor(process, P), receive {'DOWN', M, process, P, _} -> ok end,"
        "code:delete(A), code:soft_purge(A).",
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    spawn(erl_eval, exprs, [Expressions, [{'P', self()}, {'A', ?MODULE}]]).

died(Pid, #agent{selected = Selected, died = Died} = A) ->
    case Selected of
        #{Pid := _} -> A#agent{died = [Pid | Died]};
        _ -> A
    end.

%% ── requests ──────────────────────────────────────────────────────────────────────────────────────────

handle({prepare, Number, News, Removed}, A) -> prepare(Number, News, Removed, A);
handle({census, Modules}, A) -> {census(Modules), A};
handle({lingering, Modules, Except}, A) -> {lingering(Modules, Except), A};
handle({select, Modules}, A) -> select(Modules, A);
handle({suspend, Timeouts}, A) -> suspend(Timeouts, A);
handle({load, Number, Side}, A) -> load(Number, Side, A);
handle({change_code, Number, Side, Mode, Changes}, A) ->
    change_code([{M, old_vsn(M, Mode, Side, maps:get(Number, A#agent.windows)), X, L} || {M, X, L} <- Changes], A);
handle({call, {M, F, Args}, Timeout}, A) -> call(M, F, Args, Timeout, A);
handle({stop, Modules}, A) -> stop(Modules, A);
handle({start, Modules}, A) -> start(Modules, A);
handle(verify, A) -> {{ok, lists:map(fun describe/1, A#agent.died), born(A)}, A};
handle({become, Applications}, A) -> become(Applications, A);
handle({resume, Back}, A) -> resume(A#agent{back = Back});
handle(config_change, A) -> config_change(A);
handle(rollback, A) -> rollback(A);
handle({soft_purge, Modules}, A) -> {{ok, [M || M <- Modules, not code:soft_purge(M)]}, A};
handle({digests, Modules}, A) -> {[{M, digest(M)} || M <- Modules], A};
handle(finish, A) -> {ok, A}.

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
    case Wrong =:= [] andalso prepared(News) of
        false -> {{error, Wrong}, A};
        {ok, New} -> {ok, A#agent{windows = Windows#{Number => prepare_old(Window#window{prepared = #{new => New}})}}};
        {error, Reasons} -> {{error, [{words(Reason), M, []} || {M, Reason} <- Reasons]}, A}
    end.

prepare_old(#window{old = Olds, prepared = Prepared} = Window) ->
    {ok, Old} = prepared(Olds),
    Window#window{prepared = Prepared#{old => Old}}.

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
load(Number, Side, #agent{windows = Windows} = A) ->
    Window = maps:get(Number, Windows),
    case exchange(Window, Side) of
        {ok, Used} -> {ok, A#agent{loaded = {Number, Side}, windows = Windows#{Number := Used}}};
        {error, Reasons} -> {{error, [{M, words(Reason)} || {M, Reason} <- Reasons]}, A}
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
%% {ok, [{Pid, Modules, Supervisor}], Unreachable, Silent}: unreachable ones use a module and stand in no tree; silent
%% supervisors did not answer.
census(Modules) ->
    Wanted = maps:from_keys(Modules, true),
    {Found, Supervisors, Silent} = trees(),
    Using = [{P, Ms, S} || {P, All, S} <- Found, (Ms = [M || M <- All, is_map_key(M, Wanted)]) =/= []],
    Tops = [{P, [M], none} || {P, _} <- Supervisors, M <- [initial(P)], is_map_key(M, Wanted)],
    InTree = maps:from_list([{P, true} || {P, _, _} <- Found] ++ [{P, true} || {P, _} <- Supervisors]),
    Beyond = [{P, [M], none} || P <- processes(), not is_map_key(P, InTree),
              M <- [initial(P)], is_map_key(M, Wanted)],
    {ok, Using ++ Tops, Beyond, [describe(P) || P <- Silent]}.

%% The module that a process was started to run, as proc_lib knows it.
initial(Pid) ->
    case proc_lib:initial_call(Pid) of
        {supervisor, M, _} -> M;
        {M, _, _} -> M;
        false -> none
    end.

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
ask(Pids, Label, Request) ->
    Batch = make_ref(),
    Monitors = [begin P ! {Label, {self(), {Batch, P}}, Request}, monitor(process, P) end || P <- Pids],
    Answers = answers(Batch, maps:from_keys(Pids, true), now_ms() + ?ANSWER, []),
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
        {ok, Found, Beyond, []} ->
            All = Found ++ Beyond,
            Selected = maps:from_list([{P, Ms} || {P, Ms, _} <- All]),
            Above = lists:usort([S || {_, _, S} <- All, S =/= none, not is_map_key(S, Selected)]),
            Monitors = maps:map(fun(P, _) -> monitor(process, P) end, Selected),
            Known = maps:from_keys(processes(), true),
            Next = A#agent{selected = Selected, supervisors = Above, monitors = Monitors, known = Known, died = []},
            {{ok, map_size(Selected), [{describe(P), Ms} || {P, Ms, _} <- Beyond]}, Next};
        {ok, _, _, Silent} -> {{silent, Silent}, A}
    end.

%% Suspend all, supervisors first, and let each keep its state aside; the answer to the second tells of the first.
%% One time limit runs for all; modules may have limits of their own.
suspend(Limits, #agent{selected = Selected, supervisors = Above} = A) ->
    Start = now_ms(),
    Groups = lists:sort(maps:to_list(maps:groups_from_list(fun(P) -> limit(P, Selected, Limits) end, maps:keys(Selected)))),
    Asked = lists:append([Above | [Ps || {_, Ps} <- Groups]]),
    Batches = [{Start + ?ANSWER, still(Above, A), Above} | [{Start + Ms, still(Ps, A), Ps} || {Ms, Ps} <- Groups]],
    gather(lists:keysort(1, Batches), A#agent{asked = Asked}).

still(Pids, #agent{nobody = Nobody}) ->
    Batch = make_ref(),
    Keep = {replace_state, fun ?MODULE:stash/1},
    [begin P ! {system, {Nobody, Batch}, suspend}, P ! {system, {self(), {Batch, P}}, Keep} end || P <- Pids],
    Batch.

gather([], #agent{selected = Selected} = A) -> {{ok, map_size(Selected)}, A};
gather([{Until, Batch, Pids} | Rest], A) ->
    case collect(Batch, Pids, Until, A) of
        {ok, _, Next} -> gather(Rest, Next);
        {late, Late, Next} -> {{late, [describe(P) || P <- Late]}, Next}
    end.

limit(P, Selected, Limits) -> lists:max([maps:get(M, Limits, ?ANSWER) || M <- maps:get(P, Selected)]).

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
            true -> {late, Asked -- [P || {{_, P}, _} <- Answers], A};
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
        {late, Late, Next} -> {{late, M, [describe(P) || P <- Late]}, Next}
    end.

%% Processes that use the modules of the window and that were not there when it was opened.
born(#agent{known = none}) -> [];
born(#agent{known = Known, selected = Selected}) ->
    Modules = maps:from_keys(lists:append(maps:values(Selected)), true),
    [describe(P) || P <- processes(), not is_map_key(P, Known), is_map_key(initial(P), Modules)].

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
    {ok, Found, Beyond, _} = census(Modules),
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
resume(#agent{asked = Asked, nobody = Nobody} = A) ->
    Forget = {replace_state, fun ?MODULE:forget/1},
    [begin P ! {system, {Nobody, P}, Forget}, P ! {system, {Nobody, P}, resume} end || P <- lists:reverse(Asked)],
    {ok, closed(A)}.

closed(#agent{monitors = Monitors} = A) ->
    [demonitor(M, [flush]) || M <- maps:values(Monitors)],
    A#agent{
        selected = #{}, supervisors = [], monitors = #{}, known = none, asked = [], changed = [], loaded = none, died = [],
        became = []
    }.

%% Make the code current that was, put the states back that were changed, and let everybody go on.
rollback(#agent{loaded = Loaded, changed = Changed, died = Died, became = Became} = A) ->
    change(Became),
    {Killed, Failed, Next} = unload(Loaded, A),
    Late = restore(lists:usort(Changed) -- Died, Next),
    {ok, Closed} = resume(Next),
    purge(Loaded, Closed),
    Remains = [words({code, Reason}) || Reason <- Failed] ++ [words({state, describe(P)}) || P <- Late],
    {{ok, lists:map(fun describe/1, Died), Killed, Remains}, Closed}.

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

%% Put back the states; the answer to the second message tells of the first, without the state being sent along.
restore(Pids, #agent{nobody = Nobody} = A) ->
    Batch = make_ref(),
    Back = {replace_state, fun ?MODULE:unstash/1},
    Forget = {replace_state, fun ?MODULE:forget/1},
    [begin P ! {system, {Nobody, P}, Back}, P ! {system, {self(), {Batch, P}}, Forget} end || P <- Pids],
    case collect(Batch, Pids, now_ms() + ?ANSWER, A#agent{bridge = none, lease = infinity}) of
        {ok, _, _} -> [];
        {late, Late, _} -> Late
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
