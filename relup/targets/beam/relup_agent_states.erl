%% What runs in the processes themselves: keeping a state aside, putting it back, forgetting it.
-module(relup_agent_states).

-export([stash/1, unstash/1, forget/1, lasting/1]).

-define(STATES, '$relup_states').

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

%% What puts a state back when this module may be gone: a process that hangs takes it up whenever it is free.
lasting(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, [Expression]} = erl_parse:parse_exprs(Tokens),
    {value, Fun, _} = erl_eval:expr(Expression, []),
    Fun.
