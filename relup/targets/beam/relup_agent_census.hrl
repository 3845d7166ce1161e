%% Who runs the code that changes: what supervision trees say, and what each process was started to run.

-define(FEW, 1000).  % processes that are asked one after the other
-define(ASKERS, 4).

%% Who uses some modules.
-record(census, {
    %% [{Pid, Modules, Supervisor}]: servers in supervision trees, supervisors, and those that stand in no tree
    servers,
    tops,
    beyond,
    %% who has no ear for system messages; who did not answer what it has as children or handlers
    mute,
    silent,
    %% who has not come so far yet that it can be told what it was started to run, and all who were there before
    unsure,
    present
}).

%% Who uses these modules: what supervision trees say, and what each process was started by, for either may be silent.
census(Modules) ->
    Present = seen(),
    Wanted = maps:from_keys(Modules, true),
    Handlers = have_handlers(Modules),
    {Trees, Supervisors, Silent} = trees(Handlers),
    Using = [{P, Ms, S, Call} || {P, Told, S, Call} <- Trees, (Ms = runs(Call, Told, Wanted)) =/= []],
    Tops = [{P, [M], S, Call} || {P, S, Call} <- Supervisors, M <- [module(Call)], is_map_key(M, Wanted)],
    InTree = maps:from_keys([P || {P, _, _, _} <- Trees] ++ [P || {P, _, _} <- Supervisors], true),
    Outside = with_calls([{P, worker, [], none} || P <- processes(), not is_map_key(P, InTree)]),
    {Told, Busy} = told(Outside, Handlers),
    Others = [{P, Ms, parent(P), Call} || {P, Said, _, Call} <- Told, (Ms = runs(Call, Said, Wanted)) =/= []],
    Hears = fun({P, _, _, Call}) -> hears(P, Call) end,
    [{Servers, Deaf}, {Above, DeafAbove}, {Beyond, Too}] = [lists:partition(Hears, All) || All <- [Using, Tops, Others]],
    Selected = fun(All) -> [{P, Ms, S} || {P, Ms, S, _} <- All] end,
    #census{
        servers = Selected(Servers), tops = Selected(Above), beyond = Selected(Beyond),
        mute = [describe(P) || {P, _, _, _} <- Deaf ++ DeafAbove ++ Too, not is_task(P), is_process_alive(P)],
        silent = [describe(P) || P <- Silent ++ Busy],
        unsure = [P || {P, _, _, _, {proc_lib, init_p, 5}} <- Outside], present = Present
    }.

have_handlers(Modules) -> lists:any(fun(M) -> erlang:function_exported(M, handle_event, 2) end, Modules).

%% The census anew. Over many processes it takes as long as all that comes before the window together, so one that was
%% taken a moment ago holds unless something has happened since of which it cannot be told what trees say.
census(Modules, {Modules, #census{mute = [], silent = []} = Taken}) ->
    Wanted = maps:from_keys(Modules, true),
    Unsure = [P || P <- Taken#census.unsure, is_process_alive(P), initial(P) =:= none],
    Known = seen_without(Taken#census.unsure -- Unsure, Taken#census.present),
    Born = unseen(Known),
    case length(Born) =< ?FEW andalso not have_handlers(Modules)
        andalso lists:all(fun(P) -> is_of_no_account(P, Wanted) end, Born) of
        true ->
            Alive = fun(All) -> [Found || {P, _, _} = Found <- All, is_process_alive(P)] end,
            #census{servers = Servers, tops = Tops, beyond = Beyond} = Taken,
            Taken#census{
                servers = Alive(Servers), tops = Alive(Tops), beyond = Alive(Beyond), unsure = Unsure,
                present = seen(Born, Known)
            };
        false -> census(Modules)
    end;
census(Modules, _) -> census(Modules).

%% Is it neither in a tree, nor runs any of these modules?
is_of_no_account(P, Wanted) ->
    M = initial(P),
    M =/= none andalso not is_map_key(M, Wanted) andalso supervisor(P) =:= none andalso parent(P) =:= none.

%% Which of the wanted modules a process runs. A server has one callback module, whatever else its spec names; what an
%% agent began with says less of it than its spec does.
runs({M, init, 1}, _, Wanted) when is_map_key(M, Wanted) -> [M];
runs({Began, _, _}, Told, Wanted) ->
    case [M || M <- Told, is_map_key(M, Wanted)] of
        [] when is_map_key(Began, Wanted) -> [Began];
        Ms -> Ms
    end.

%% The module that a process was started to run, as proc_lib knows it.
initial(Pid) -> module(initial_call(Pid)).

initial_call(Pid) -> proc_lib:translate_initial_call(Pid).

with_calls(All) ->
    Calls = initial_calls([P || {P, _, _, _} <- All]),
    lists:zipwith(fun({P, Type, Ms, S}, Call) -> {P, Type, Ms, S, Call} end, All, Calls).

%% To ask a process is to wait for it, so of many several ask at once.
initial_calls(Pids) when length(Pids) =< ?FEW -> lists:map(fun initial_call/1, Pids);
initial_calls(Pids) ->
    Ask = fun(Some) -> fun() -> exit({relup_returned, lists:map(fun initial_call/1, Some)}) end end,
    Askers = [spawn_opt(Ask(Some), [monitor, {max_heap_size, 0}]) || Some <- parts(Pids, length(Pids) div ?ASKERS + 1)],
    Calls = fun(Monitor) -> receive {'DOWN', Monitor, process, _, Reason} -> {relup_returned, Some} = Reason, Some end end,
    lists:append([Calls(Monitor) || {_, Monitor} <- Askers]).

parts(All, Size) when length(All) =< Size -> [All];
parts(All, Size) ->
    {Some, Others} = lists:split(Size, All),
    [Some | parts(Others, Size)].

module({supervisor, M, _}) -> M;
module({proc_lib, init_p, 5}) -> none;
module({M, _, _}) -> M.

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
    case initial_call(Pid) of
        {supervisor, _, _} -> Pid;
        {'Elixir.DynamicSupervisor', _, _} -> Pid;
        _ -> none
    end;
supervisor(_) -> none.

%% Does it take system messages? What its module is tells of most; the others are looked at, one by one.
hears(Pid) -> hears(Pid, initial_call(Pid)).

hears(_, {supervisor, _, _}) -> true;
hears(_, {gen_event, _, _}) -> true;
hears(Pid, {M, init, _}) -> serves(M) orelse loops(Pid);
hears(Pid, {M, _, _}) -> erlang:function_exported(M, system_continue, 3) orelse loops(Pid).

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
    process_info(Pid, current_function) =:= {current_function, {erlang, hibernate, 3}}
        orelse stands_in(Pid, loops()).

loops() ->
    binary:compile_pattern([<<"(gen_server:">>, <<"(gen_statem:">>, <<"(gen_event:">>, <<"(gen_fsm:">>, <<"(sys:">>]).

%% {[{Pid, Modules, Supervisor, Its initial call}], [{Supervisor, Its supervisor, Its initial call}], Silent ones}, from
%% all running applications.
trees(Handlers) ->
    Names = [Name || {Name, _, _} <- application:which_applications(?LIMIT)],
    Masters = [M || Name <- Names, M <- [application_controller:get_master(Name)], is_pid(M)],
    Tops = [{P, supervisor, [], none} || M <- Masters, {P, _} <- [application_master:get_child(M)], is_pid(P)],
    level(with_calls(Tops), Handlers, [], [], []).

level([], _, Found, Supervisors, Silent) -> {Found, Supervisors, Silent};
level(Level, Handlers, Found, Supervisors, Silent) ->
    {Above, Workers} = lists:partition(fun is_supervisor/1, Level),
    {Families, Mute} = ask([P || {P, _, _, _, _} <- Above], '$gen_call', which_children),
    Children = with_calls([{P, Type, Ms, S} ||
        {S, List} <- Families, is_list(List), {_, P, Type, Ms} <- List, is_pid(P), node(P) =:= node()]),
    {Told, Busy} = told(Workers, Handlers),
    Over = [{P, S, Call} || {P, _, _, S, Call} <- Above],
    level(Children, Handlers, Told ++ Found, Over ++ Supervisors, Mute ++ Busy ++ Silent).

%% What processes run of which it is known what their specs say: an event manager is asked, whatever its spec says, and
%% who has modules of its own choice. A server is not: it would die of it.
told(Said, Handlers) ->
    {Asked, Plain} = lists:partition(fun(Child) -> chooses(Child, Handlers) end, Said),
    {Answers, Busy} = ask([P || {P, _, _, _, _} <- Asked], self(), get_modules),
    Told = maps:from_list(Answers),
    {[{P, case Ms of dynamic -> []; _ -> Ms end, S, Call} || {P, _, Ms, S, Call} <- Plain] ++
        [{P, maps:get(P, Told), S, Call} || {P, _, _, S, Call} <- Asked, is_map_key(P, Told)], Busy}.

chooses({_, _, _, _, {gen_event, _, _}}, Handlers) -> Handlers;
chooses({P, _, dynamic, _, {M, init, _}}, _) -> not (serves(M) orelse loops(P));
chooses({P, _, dynamic, _, _}, _) -> not loops(P);
chooses(_, _) -> false.

%% A child that is a supervisor is one, whatever its spec says; and one that is none would die of being asked.
is_supervisor({_, _, _, _, {supervisor, _, _}}) -> true;
is_supervisor({_, supervisor, Said, _, {proc_lib, init_p, 5}}) ->
    is_list(Said) andalso lists:any(fun knows_children/1, Said);
is_supervisor({_, supervisor, _, _, {M, _, _}}) -> knows_children(M);
is_supervisor(_) -> false.

%% Is there a word of children in a module that is no supervisor of OTP's or Elixir's?
knows_children(M) ->
    case get({knows_children, M}) of
        undefined ->
            Is = case code:which(M) of
                File when is_list(File) ->
                    case beam_lib:chunks(File, [atoms]) of
                        {ok, {M, [{atoms, Atoms}]}} -> lists:keymember(which_children, 2, Atoms);
                        _ -> false
                    end;
                _ -> false
            end,
            put({knows_children, M}, Is),
            Is;
        Is -> Is
    end.

%% A task runs one function and ends. It is no server, though it was started with a function of a module that has some.
is_task(P) -> stands_in(P, binary:compile_pattern(<<"('Elixir.Task.Supervised':">>)).

%% Call many servers at once, as gen does; {[{Pid, Answer}], Those that live and did not answer}.
ask(Pids, Label, Request) ->
    Batch = make_ref(),
    Monitors = [begin P ! {Label, {self(), {Batch, P}}, Request}, monitor(process, P) end || P <- Pids],
    {Answers, Silent} = answers(Batch, maps:from_keys(Pids, true), ?NOW + ?LIMIT, []),
    [demonitor(M, [flush]) || M <- Monitors],
    {Answers, Silent}.

answers(_, Pending, _, Answers) when map_size(Pending) =:= 0 -> {Answers, []};
answers(Batch, Pending, Until, Answers) ->
    receive
        {{Batch, P}, Answer} -> answers(Batch, maps:remove(P, Pending), Until, [{P, Answer} | Answers]);
        {'DOWN', _, process, P, _} when is_map_key(P, Pending) ->
            answers(Batch, maps:remove(P, Pending), Until, Answers)
    after max(0, Until - ?NOW) -> {Answers, maps:keys(Pending)}
    end.

%% {Standing, Holding, Serving}: whose stacks stand in code that is replaced, so that a way back would have to kill them;
%% on whose stacks functions of it lie, which go on in what was replaced; and who may be a server of one of these modules,
%% entered by enter_loop, of which nothing else tells.
lingering([], _, _) -> {[], [], []};
lingering(Code, Modules, Except) ->
    Standing = binary:compile_pattern([<<"(", (written(M))/binary, ":">> || M <- Code]),
    %% what follows the module is a number: it is not the first part of another module's name
    Digits = "0123456789",
    Holding = binary:compile_pattern([<<"#Fun<", (atom_to_binary(M))/binary, $., D>> || M <- Code, D <- Digits]),
    Serving = [<<"     ", (written(M))/binary, "\n">> || M <- Modules],
    Loops = loops(),
    Look = fun(P, {Stand, Hold, Serve}) ->
        Text = stack(P),
        case in_frames(Text, Standing) of
            true -> {[describe(P) | Stand], Hold, Serve};
            false ->
                Serves = Serving =/= [] andalso binary:match(Text, Serving) =/= nomatch andalso in_frames(Text, Loops),
                {Stand, [describe(P) || binary:match(Text, Holding) =/= nomatch] ++ Hold,
                    [describe(P) || Serves] ++ Serve}
        end
    end,
    lists:foldl(Look, {[], [], []}, [P || P <- processes(), P =/= self(), not is_map_key(P, Except)]).

%% The name of a module as a stack has it.
written(M) -> unicode:characters_to_binary(io_lib:write_atom(M)).

stands_in(Pid, Pattern) -> in_frames(stack(Pid), Pattern).

stack(Pid) ->
    case process_info(Pid, backtrace) of
        {backtrace, Text} -> Text;
        undefined -> <<>>
    end.

in_frames(Text, Pattern) ->
    Frames = [L || L <- binary:split(Text, <<"\n">>, [global]), is_frame(L)],
    lists:any(fun(L) -> binary:match(L, Pattern) =/= nomatch end, Frames).

is_frame(<<"Program counter", _/binary>>) -> true;
is_frame(Line) -> binary:match(Line, <<"Return addr">>) =/= nomatch.
