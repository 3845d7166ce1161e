%% An upgrade that is done and not confirmed: the agent alone leads it back when its time is over, or a probe says no.

%% The upgrade is done, and goes back by itself unless somebody ends the agent in time. Nobody else is needed for that.
waiting(#agent{due = {At, Back}} = A) ->
    put(deadline, At),
    erlang:send_after(At, self(), expired, [{abs, true}]),
    turning(A#agent{back = Back, bridge = none, lease = infinity}).

%% Let those be asked again whether all is well who are to be asked.
turning(#agent{probes = {_, []}} = A) -> A;
turning(#agent{probes = {Pause, _}} = A) ->
    Turn = make_ref(),
    erlang:send_after(Pause, self(), {turn, Turn}),
    A#agent{turn = Turn}.

%% Who says no has the upgrade taken back before its time is over.
ask_again(#agent{probes = {_, Probes}, owner = Owner} = A) ->
    {Answers, Next} = in_turn(Probes, A),
    case failed(Probes, Answers) of
        none -> turning(Next);
        {{ask, {M, F, _}, _}, No} ->
            Why = case No of {failed, Words} -> Words; late -> "no answer in time"; _ -> words(No) end,
            logger:error("the upgrade by ~ts goes back: verify ~ts:~ts says no: ~ts", [Owner, M, F, Why]),
            throw({lost, Next#agent{due = none}})
    end.

%% Whether somebody who is gone has confirmed the upgrade: what the next boot starts decides that, and nothing else.
recorded(none) -> false;
recorded({File, Text}) -> file:read_file(File) =:= {ok, Text}.

%% Somebody else wants to lead it back in time. Until that is done, or given up, nothing expires.
adopt(Owner, Bridge, Lease, #agent{windows = Windows} = A) ->
    put(owner, Owner),
    erase(deadline),
    monitor(process, Bridge),
    {{ok, lists:max([0 | maps:keys(Windows)])}, A#agent{owner = Owner, bridge = Bridge, lease = Lease, back = []}}.
