%% Reasons in words, for people.

%% A reason in words; a reason may hold a state of any size.
words(Reason) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 20], [{chars_limit, 400}])).

%% What was returned, or thrown, instead of a new state.
returned(Answer, Expected) ->
    unicode:characters_to_binary(["it returned ", words(Answer), ", which is no ", Expected]).

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
