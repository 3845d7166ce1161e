%% What a test wants to be answered to those who ask whether all is well: one answer after the other, the last for ever.
-module(verifying).
-export([say/1, asked/0, well/0]).

say(Answers) ->
    persistent_term:put(?MODULE, {0, Answers}).

asked() ->
    element(1, persistent_term:get(?MODULE)).

well() ->
    {N, [Answer | Rest]} = persistent_term:get(?MODULE),
    persistent_term:put(?MODULE, {N + 1, case Rest of [] -> [Answer]; _ -> Rest end}),
    case Answer of
        raise -> error(not_well);
        call -> supervisor:which_children(depot_pool);
        state -> is_map_key(reserved, sys:get_state(depot_stock));
        _ -> Answer
    end.
