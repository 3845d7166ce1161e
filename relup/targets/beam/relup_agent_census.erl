%% Who runs the code that changes: what supervision trees say, and what each process was started to run.
-module(relup_agent_census).

-export([census/1, concerned/2, initial/1, parent/1, hears/1, is_task/1, ask/4, describe/1, words/1]).

-include("relup_agent.hrl").

%% Who uses these modules: what supervision trees say, and what each process was started by, for either may be silent.
%% {ok, Found, Beyond, Mute, Silent}: the first two are [{Pid, Modules, Supervisor}], beyond are those that stand in no
%% tree; mute ones have no ear for system messages; silent ones did not answer what they have as children or handlers.
census(Modules) ->
    Wanted = maps:from_keys(Modules, true),
    Handlers = lists:any(fun(M) -> erlang:function_exported(M, handle_event, 2) end, Modules),
    {Trees, Supervisors, Silent} = trees(Handlers),
    Using = [{P, Ms, S} || {P, Told, S} <- Trees, (Ms = runs(P, Told, Wanted)) =/= []],
    Tops = [{P, [M], S} || {P, S} <- Supervisors, M <- [initial(P)], is_map_key(M, Wanted)],
    InTree = maps:from_list([{P, true} || {P, _, _} <- Trees] ++ [{P, true} || {P, _} <- Supervisors]),
    {Outside, Busy} = told([{P, []} || P <- processes(), not is_map_key(P, InTree)], Handlers),
    Others = [{P, Ms, parent(P)} || {P, Told} <- Outside, (Ms = runs(P, Told, Wanted)) =/= []],
    {Found, Deaf} = lists:partition(fun({P, _, _}) -> hears(P) end, Using ++ Tops),
    {Beyond, Too} = lists:partition(fun({P, _, _}) -> hears(P) end, Others),
    Mute = [describe(P) || {P, _, _} <- Deaf ++ Too, not is_task(P)],
    {ok, Found, Beyond, Mute, [describe(P) || P <- Silent ++ Busy]}.

%% Which of the wanted modules a process runs. A server has one callback module, whatever else its spec names; what an
%% agent began with says less of it than its spec does.
runs(P, Told, Wanted) ->
    case {proc_lib:initial_call(P), [M || M <- Told, is_map_key(M, Wanted)]} of
        {{M, init, [_]}, _} when is_map_key(M, Wanted) -> [M];
        {{M, _, _}, []} when is_map_key(M, Wanted) -> [M];
        {_, Ms} -> Ms
    end.

%% What there is to be said before a window: how many it concerns, who of them is in no tree, who cannot be suspended,
%% who is silent, who stands in the code that is to be replaced, and who holds functions of it.
concerned(Modules, Code) ->
    {ok, Found, Beyond, Mute, Silent} = census(Modules),
    Concerned = maps:from_list([{P, true} || {P, _, _} <- Found ++ Beyond]),
    {Lingering, Holding} = lingering(Code, Concerned),
    {ok, map_size(Concerned), [describe(P) || {P, _, _} <- Beyond], Mute, Silent, Lingering, Holding}.

%% A process for people: how it is called, and where it is.
describe(Pid) ->
    Name = case catch process_info(Pid, registered_name) of
        {registered_name, Registered} -> atom_to_binary(Registered);
        _ -> unicode:characters_to_binary([pid_to_list(Pid) | [[" (", atom_to_list(M), ")"] || M <- [initial(Pid)], M =/= none]])
    end,
    Function = case catch process_info(Pid, current_function) of
        {current_function, Current} -> Current;
        _ -> undefined
    end,
    {Pid, Name, Function}.

%% A reason in words; a reason may hold a state of any size.
words(Reason) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 20], [{chars_limit, 400}])).

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
hears(Pid) ->
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

%% {[{Pid, Modules, Supervisor}], [{Supervisor, Its supervisor}], Silent ones}, from all running applications.
trees(Handlers) ->
    Names = [Name || {Name, _, _} <- application:which_applications(?LIMIT)],
    Masters = [M || Name <- Names, M <- [application_controller:get_master(Name)], is_pid(M)],
    Tops = [{P, supervisor, [], none} || M <- Masters, {P, _} <- [application_master:get_child(M)], is_pid(P)],
    level(Tops, Handlers, [], [], []).

level([], _, Found, Supervisors, Silent) -> {Found, Supervisors, Silent};
level(Level, Handlers, Found, Supervisors, Silent) ->
    {Above, Workers} = lists:partition(fun is_supervisor/1, [Child || {P, _, _, _} = Child <- Level, node(P) =:= node()]),
    {Families, Mute} = ask([P || {P, _, _, _} <- Above], '$gen_call', which_children),
    Children = [{P, Type, Ms, S} || {S, List} <- Families, {_, P, Type, Ms} <- List, is_pid(P)],
    {Told, Busy} = told([{P, Ms} || {P, _, Ms, _} <- Workers], Handlers),
    By = maps:from_list([{P, S} || {P, _, _, S} <- Workers]),
    More = [{P, Ms, maps:get(P, By)} || {P, Ms} <- Told],
    level(Children, Handlers, More ++ Found, [{P, S} || {P, _, _, S} <- Above] ++ Supervisors, Mute ++ Busy ++ Silent).

%% What processes run of which it is known only who they are, and what their specs say: an event manager is asked,
%% whatever its spec says, and who has modules of its own choice. A server is not: it would die of it.
told(Said, Handlers) ->
    {Asked, Plain} = lists:partition(fun({P, Ms}) -> chooses(P, Ms, Handlers) end, Said),
    {Told, Busy} = ask([P || {P, _} <- Asked], self(), get_modules),
    {[{P, Ms} || {P, Ms} <- Plain, is_list(Ms)] ++ [{P, []} || {P, dynamic} <- Plain] ++ Told, Busy}.

chooses(P, Ms, Handlers) ->
    case proc_lib:initial_call(P) of
        {gen_event, _, _} -> Handlers;
        {M, init, _} when Ms =:= dynamic -> not (serves(M) orelse loops(P));
        _ -> Ms =:= dynamic andalso not loops(P)
    end.

%% A child that is a supervisor is one, whatever its spec says; and one that is none would die of being asked.
is_supervisor({P, Type, Said, _}) ->
    case proc_lib:initial_call(P) of
        {supervisor, _, _} -> true;
        {M, _, _} -> Type =:= supervisor andalso knows_children(M);
        false -> Type =:= supervisor andalso is_list(Said) andalso lists:any(fun knows_children/1, Said)
    end.

%% Is there a word of children in a module that is no supervisor of OTP's or Elixir's?
knows_children(M) ->
    case get({knows_children, M}) of
        undefined ->
            Is = case code:get_object_code(M) of
                {M, Binary, _} ->
                    {ok, {M, [{atoms, Atoms}]}} = beam_lib:chunks(Binary, [atoms]),
                    lists:keymember(which_children, 2, Atoms);
                error -> false
            end,
            put({knows_children, M}, Is),
            Is;
        Is -> Is
    end.

%% A task runs one function and ends. It is no server, though it was started with a function of a module that has some.
is_task(P) -> stands_in(P, binary:compile_pattern(<<"('Elixir.Task.Supervised':">>)).

%% Call many servers at once, as gen does; {[{Pid, Answer}], Those that live and did not answer}.
ask(Pids, Label, Request) -> ask(Pids, Label, Request, ?LIMIT).

ask(Pids, Label, Request, Limit) ->
    Batch = make_ref(),
    Monitors = [begin P ! {Label, {self(), {Batch, P}}, Request}, monitor(process, P) end || P <- Pids],
    {Answers, Silent} = answers(Batch, maps:from_keys(Pids, true), ?NOW + Limit, []),
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

%% Whose stacks stand in these modules, so that a way back would have to kill them, and on whose stacks functions of
%% them lie, which go on in what was replaced.
lingering(Modules, Except) ->
    Names = [atom_to_binary(M) || M <- Modules],
    Marks = [<<"(", M/binary, ":">> || M <- Names] ++ [<<"('", M/binary, "':">> || M <- Names],
    Code = binary:compile_pattern(Marks),
    %% what follows the module is a number: it is not the first part of another module's name
    Functions = binary:compile_pattern([<<"#Fun<", M/binary, $., Digit>> || M <- Names, Digit <- "0123456789"]),
    Others = [P || P <- processes(), P =/= self(), not is_map_key(P, Except)],
    lists:foldl(
        fun(P, {Stand, Hold}) ->
            case {stands_in(P, Code), holds(P, Functions)} of
                {true, _} -> {[describe(P) | Stand], Hold};
                {_, true} -> {Stand, [describe(P) | Hold]};
                _ -> {Stand, Hold}
            end
        end,
        {[], []}, Others).

holds(Pid, Pattern) ->
    case process_info(Pid, backtrace) of
        {backtrace, Text} -> binary:match(Text, Pattern) =/= nomatch;
        undefined -> false
    end.

stands_in(Pid, Pattern) ->
    case process_info(Pid, backtrace) of
        {backtrace, Text} ->
            Lines = [L || L <- binary:split(Text, <<"\n">>, [global]), is_frame(L)],
            lists:any(fun(L) -> binary:match(L, Pattern) =/= nomatch end, Lines);
        undefined -> false
    end.

is_frame(<<"Program counter", _/binary>>) -> true;
is_frame(Line) -> binary:match(Line, <<"Return addr">>) =/= nomatch.
