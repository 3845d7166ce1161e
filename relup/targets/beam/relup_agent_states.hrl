%% What runs in the processes themselves: keeping a state aside, putting it back, forgetting it; looking for a mode.

-define(STATES, '$relup_states').

%% Keep the state, and throw so that it is neither replaced nor sent. A gen_event calls this for each handler.
stash(State) ->
    put(?STATES, [State | kept()]),
    throw(relup).

%% Handlers of an event manager are found by module and id; of those that share both, the first was kept first.
unstash({M, Id, _} = State) ->
    case kept() of
        [Only] -> Only;
        Several ->
            case [Kept || {SameM, SameId, _} = Kept <- lists:reverse(Several), SameM =:= M, SameId =:= Id] of
                [First | _] ->
                    put(?STATES, lists:delete(First, Several)),
                    First;
                [] -> State
            end
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

%% Look for functions here that are nowhere else, and no more.
look(_) ->
    put('$relup_handler', process_flag(error_handler, ?MODULE)),
    throw(relup).

look_no_more(_) ->
    process_flag(error_handler, erase('$relup_handler')),
    throw(relup).

%% The code_change of a gen_statem that changes nothing.
undefined_function(_, code_change, [relup, State, Data, _]) -> {ok, State, Data};
undefined_function(M, F, Args) -> error_handler:undefined_function(M, F, Args).

undefined_lambda(M, Fun, Args) -> error_handler:undefined_lambda(M, Fun, Args).

%% unstash/1 for a process that takes it up when this module may be gone.
unstash_later() ->
    lasting("
        fun({M, Id, _} = State) ->
            erase('$relup_migrated'),
            Kept = case get('$relup_states') of undefined -> []; States -> States end,
            case [K || {SameM, SameId, _} = K <- lists:reverse(Kept), SameM =:= M, SameId =:= Id] of
                _ when length(Kept) =:= 1 -> hd(Kept);
                [First | _] -> put('$relup_states', lists:delete(First, Kept)), First;
                [] -> State
            end;
        (State) ->
            erase('$relup_migrated'),
            case get('$relup_states') of [Only] -> Only; _ -> State end
        end.").

forget_later() -> lasting("fun(_) -> erase('$relup_states'), throw(relup) end.").

lasting(Text) -> lasting(Text, []).

lasting(Text, Bindings) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, [Expression]} = erl_parse:parse_exprs(Tokens),
    {value, Fun, _} = erl_eval:expr(Expression, Bindings),
    Fun.
