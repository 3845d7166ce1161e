%% A function of somebody else changes the states of servers that have no code_change for it.

-define(MIGRATED, '$relup_migrated').

%% What lets X:F(Vsn, State, Extra) change the state of a process of M. It is erl_eval that calls the function, so a
%% process in which that hangs holds no code of the agent. The new state is sent to nobody, whatever its size; that a
%% function failed is told to the agent, since a gen_event does not tell it.
migrating(M, {X, F}, Vsn, Extra, Batch) ->
    Text = "fun(S) -> relup_agent:changed(S, catch apply(F, relup_agent:asked(S, D)), D) end.",
    lasting(Text, [{'D', {M, Vsn, Extra, self(), Batch}}, {'F', fun X:F/3}]).

%% The arguments. Of a gen_event each handler has a state, and another module's handler is left alone.
asked(State, {M, Vsn, Extra, _, _}) ->
    case behaviour() of
        gen_event when element(1, State) =:= M -> [Vsn, element(3, State), Extra];
        gen_event -> throw(relup);
        _ -> [Vsn, State, Extra]
    end.

changed(State, Result, {M, _, _, Agent, Batch}) ->
    case {behaviour(), Result} of
        {gen_event, _} when element(1, State) =/= M -> throw(relup);
        {gen_event, {ok, New}} -> setelement(3, State, New);
        {gen_statem, {ok, {_, _} = New}} -> put(?MIGRATED, {New}), New;
        {gen_statem, {ok, Other}} -> failed({not_state_name_and_data, Other}, Agent, Batch);
        {other, {ok, New}} -> put(?MIGRATED, {New}), New;
        {_, {'EXIT', _} = Exit} -> failed(Exit, Agent, Batch);
        {_, Other} -> failed({bad_return_value, Other}, Agent, Batch)
    end.

failed(Reason, Agent, Batch) ->
    Agent ! {Batch, self(), why(Reason)},
    throw(relup).

%% Is what was returned the state now? A process with a loop of its own may not have taken it.
migrated(State) ->
    case erase(?MIGRATED) of
        {Other} when Other =/= State -> throw(not_taken);
        _ -> throw(relup)
    end.

%% A gen_statem takes whatever it is given for {StateName, Data}, and dies of it later.
behaviour() ->
    case get('$initial_call') of
        {gen_event, _, _} -> gen_event;
        {M, init, 1} ->
            case erlang:function_exported(M, callback_mode, 0) of
                true -> gen_statem;
                false -> other
            end;
        _ -> other
    end.
