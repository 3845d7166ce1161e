%% Processes and reasons in words, for people.

%% A process for people: how it is called, and where it is.
describe(Pid) ->
    Name = case catch process_info(Pid, registered_name) of
        {registered_name, Registered} -> atom_to_binary(Registered);
        _ ->
            Runs = [[" (", atom_to_list(M), ")"] || is_pid(Pid), M <- [ran(Pid)], M =/= none],
            unicode:characters_to_binary([pid_to_list(Pid) | Runs])
    end,
    Function = case catch process_info(Pid, current_function) of
        {current_function, Current} -> Current;
        _ -> undefined
    end,
    {Pid, Name, Function}.

%% Of whom a window concerns it is known: in the dictionary of such a process lies its state, of any size.
ran(Pid) ->
    case get(selected) of
        #{Pid := [M | _]} -> M;
        _ -> initial(Pid)
    end.

%% A reason in words; a reason may hold a state of any size.
words(Reason) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 20], [{chars_limit, 400}])).

%% The dead have no name any more: what they ran says more than their number.
late({Pid, Modules}) ->
    Ran = lists:join(", ", [atom_to_binary(M) || M <- Modules]),
    {Pid, iolist_to_binary(io_lib:format("~ts (~ts)", [pid_to_list(Pid), Ran])), undefined}.

%% Why a change of states failed: what was raised, and where. An exception of Elixir says itself what it is.
why({'EXIT', {Raised, [{_, _, _, _} | _] = Stack}}) ->
    Places = lists:join(", from ", lists:map(fun place/1, frames(Stack))),
    unicode:characters_to_binary([raised(Raised), " in ", Places]);
why(Reason) -> words(Reason).

raised(#{'__exception__' := true, '__struct__' := Kind} = Exception) ->
    case catch 'Elixir.Exception':message(Exception) of
        Text when is_binary(Text) -> [string:replace(atom_to_list(Kind), "Elixir.", ""), ": ", string:slice(Text, 0, 400)];
        _ -> words(Exception)
    end;
raised(Reason) -> words(Reason).

%% The innermost frames, as far as the one of the callback.
frames(Stack) ->
    case lists:splitwith(fun({_, F, _, _}) -> F =/= code_change end, Stack) of
        {Within, [Callback | _]} -> lists:sublist(Within, 3) ++ [Callback];
        {Within, []} -> lists:sublist(Within, 1 + length(lists:takewhile(fun is_built_in/1, Within)))
    end.

is_built_in({_, _, _, Where}) -> not lists:keymember(file, 1, Where).

place({M, F, Args, Where}) ->
    Arity = case Args of _ when is_list(Args) -> length(Args); _ -> Args end,
    case {proplists:get_value(file, Where), proplists:get_value(line, Where)} of
        {File, Line} when File =/= undefined, Line =/= undefined ->
            io_lib:format("~ts:~ts/~b (~ts:~b)", [M, F, Arity, File, Line]);
        _ -> io_lib:format("~ts:~ts/~b", [M, F, Arity])
    end.
