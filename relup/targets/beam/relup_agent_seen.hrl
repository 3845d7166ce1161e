%% Who was there at some moment, and who has come up since.
%%
%% Both a list and a map: erlang:processes/0 tells them in one order, so two answers are mostly the same list, which a
%% window over many processes has no time to look up one by one.

seen() -> seen(processes(), {[], #{}}).

seen(Pids, {Before, Known}) ->
    {Before ++ Pids, maps:merge(Known, maps:from_keys(Pids, true))}.

seen_without(Pids, {Before, Known}) -> {Before -- Pids, maps:without(Pids, Known)}.

unseen(none) -> [];
unseen({Before, Known}) -> unseen(processes(), Before, Known).

unseen([P | Now], [P | Before], Known) -> unseen(Now, Before, Known);
unseen([P | _] = Now, [_ | Before], Known) when is_map_key(P, Known) -> unseen(Now, Before, Known);
unseen([P | Now], [], Known) when is_map_key(P, Known) -> unseen(Now, [], Known);
unseen([P | Now], Before, Known) -> [P | unseen(Now, Before, Known)];
unseen([], _, _) -> [].
