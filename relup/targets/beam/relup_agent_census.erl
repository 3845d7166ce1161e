%% Who runs the code that changes: what supervision trees say, and what each process was started to run.
-module(relup_agent_census).

-export([census/1, concerned/2, initial/1, parent/1, ask/4, describe/1, words/1]).

-include("relup_agent.hrl").

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
    Names = [Name || {Name, _, _} <- application:which_applications(?LIMIT)],
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
ask(Pids, Label, Request) -> ask(Pids, Label, Request, ?LIMIT).

ask(Pids, Label, Request, Limit) ->
    Batch = make_ref(),
    Monitors = [begin P ! {Label, {self(), {Batch, P}}, Request}, monitor(process, P) end || P <- Pids],
    Answers = answers(Batch, maps:from_keys(Pids, true), ?NOW + Limit, []),
    [demonitor(M, [flush]) || M <- Monitors],
    {Answers, Pids -- [P || {P, _} <- Answers]}.

answers(_, Pending, _, Answers) when map_size(Pending) =:= 0 -> Answers;
answers(Batch, Pending, Until, Answers) ->
    receive
        {{Batch, P}, Answer} -> answers(Batch, maps:remove(P, Pending), Until, [{P, Answer} | Answers]);
        {'DOWN', _, process, P, _} when is_map_key(P, Pending) ->
            answers(Batch, maps:remove(P, Pending), Until, Answers)
    after max(0, Until - ?NOW) -> Answers
    end.

%% Whose stacks stand in these modules: a way back would have to kill them.
lingering([], _) -> [];
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
