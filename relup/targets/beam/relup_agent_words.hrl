%% Processes in words, for people.

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

%% The dead have no name any more: what they ran says more than their number.
late({Pid, Modules}) ->
    Ran = lists:join(", ", [atom_to_binary(M) || M <- Modules]),
    {Pid, iolist_to_binary(io_lib:format("~ts (~ts)", [pid_to_list(Pid), Ran])), undefined}.
