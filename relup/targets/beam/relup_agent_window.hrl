%% What is done while everybody stands still: new code, changed states, and all of it taken back.

%% Load in the open window: who was born since it was opened is suspended first.
load(Number, Side, A) ->
    case catch_up(A) of
        {ok, Next} ->
            %% on the way down over a window that was resumed, what it replaced still lies in the old slot
            [code:soft_purge(M) || M <- modules(Number, A), erlang:check_old_code(M)],
            case exchanged(Number, Side, soft, Next) of
                {_, [], #agent{known = Known} = Loaded} -> {ok, Loaded#agent{unseen = unseen(Known)}};
                {_, Failed, Now} -> {{error, Failed}, Now}
            end;
        Failed -> Failed
    end.

%% {Killed, Failed, A}: make one side of a window current, and let those ask for their callback mode that have to.
exchanged(Number, Side, Mode, A) ->
    Before = modes(modules(Number, A)),
    case load_side(Number, Side, A) of
        {ok, Next} ->
            Files = files(Number, Side, Next),
            {Killed, Failed} = read_again(Before, Files, Mode, Next),
            {Killed, Failed, Next};
        {{error, Reasons}, Next} -> {[], Reasons, Next}
    end.

%% Let the suspended processes of these modules change their states: {Module, Its vsn before, Extra, Limit, By},
%% by the module itself or by a function of another one, {Module, Function}.
%% Before the load, whoever was born since the window was opened is suspended first.
change_code(Changes, #agent{loaded = none} = A) ->
    case catch_up(A) of
        {ok, Next} ->
            put(changes, case get(changes) of undefined -> []; Before -> Before end ++ Changes),
            change_code(Changes, in_order(Next), Next);
        Failed -> Failed
    end;
change_code(Changes, A) ->
    change_code(Changes, in_order(A), A).

change_code([], _, A) -> {ok, A};
change_code([{M, Vsn, Extra, Limit, By} | Rest], Selected, #agent{changed = Changed} = A) ->
    Batch = make_ref(),
    Pids = [P || {P, Ms} <- Selected, lists:member(M, Ms)],
    case By of
        itself ->
            Change = {change_code, M, Vsn, Extra},
            [P ! {system, {self(), {Batch, P}}, Change} || P <- Pids];
        _ -> migrate(Pids, migrating(M, By, Vsn, Extra, Batch), Batch, A)
    end,
    case collect(Batch, Pids, ?NOW + Limit, A#agent{changed = Pids ++ Changed}) of
        {ok, Answers, Next} ->
            case told(Batch) ++ [{describe(P), failure(R)} || {{_, P}, {error, R}} <- Answers, failure(R) =/= none] of
                [] -> change_code(Rest, Selected, Next);
                Failed -> {{failed, M, Failed}, Next}
            end;
        {late, Late, _, Next} -> {{late, M, [describe(P) || P <- Late]}, Next#agent{stuck = Late}}
    end.

%% The answer to the second message tells that the first was handled, without the state being sent along.
migrate(Pids, Fun, Batch, #agent{nobody = Nobody}) ->
    Migrate = {replace_state, Fun},
    Check = {replace_state, fun ?MODULE:migrated/1},
    [begin P ! {system, {Nobody, P}, Migrate}, P ! {system, {self(), {Batch, P}}, Check} end || P <- Pids].

told(Batch) ->
    receive {Batch, P, Words} -> [{describe(P), Words} | told(Batch)]
    after 0 -> []
    end.

failure({callback_failed, _, {throw, relup}}) -> none;
failure({callback_failed, _, {throw, not_taken}}) -> <<"what it returned is no state that the process takes">>;
failure({callback_failed, _, _} = Reason) -> why(Reason);
failure({'EXIT', _} = Exit) -> why(Exit);
failure(Other) -> returned(Other, "{ok, ...}").

%% Who runs a module of the window and came up before the load was over, unseen: its state may be of either version.
between(#agent{unseen = Unseen, modules = Modules}) -> running(Modules, Unseen).

%% Who runs a module of the window and came up after it was opened.
born(#agent{known = Known, modules = Modules}) -> running(Modules, unseen(Known)).

running(Modules, Pids) ->
    Wanted = maps:from_keys(Modules, true),
    [P || P <- Pids, is_map_key(initial(P), Wanted), not is_task(P)].

%% Let everybody go on; from here on the way back is a downgrade.
resume(A) ->
    Released = release(A),
    [erase(Key) || Key <- [selected, changes]],
    {ok, Released#agent{
        modules = [], selected = #{}, order = [], supervisors = [], monitors = [], known = none, unseen = [],
        called = [], changed = [], stuck = [], loaded = none, died = [], children = [], added = []
    }}.

%% Make the code current that was, put the states back that were changed, and let everybody go on. Who was born under
%% the code that is taken back is ended: its state is of that code, and its supervisor starts it again under the other.
%% Nobody waits for a code_change that hangs: what takes it back lies in its mailbox.
rollback(#agent{called = [Request | Rest]} = A) ->
    {Answer, Next} = attempt(Request, A#agent{called = Rest}),
    {{ok, Died, Killed, Remains}, Closed} = rollback(Next),
    {{ok, Died, Killed, [remains(Request, Answer) || not well(Answer)] ++ Remains}, Closed};
rollback(#agent{loaded = Loaded, changed = Changed, died = Died, stuck = Stuck} = A) ->
    {Killed, Failed, Next} = unload(Loaded, A),
    Gone = [P || {P, _} <- Died],
    Changing = put_back(lists:usort(Changed) -- (Stuck ++ Gone), fun ?MODULE:unstash/1, Next),
    Hanging = put_back(Stuck -- Gone, unstash_later(), Next),
    Late = missing(Changing, ?LIMIT, Next),
    Born = case Loaded of none -> []; _ -> [P || P <- born(Next), not is_map_key(P, Next#agent.selected)] end,
    Ended = lists:map(fun describe/1, Born),
    [exit(P, kill) || P <- Born],
    {ok, Closed} = resume(Next),
    Hang = missing(Hanging, ?GRACE, Next),
    purge(Loaded, Closed),
    Remains = [words({code, Reason}) || Reason <- Failed] ++ [unrestored(P) || P <- Late ++ Hang],
    {{ok, lists:map(fun late/1, Died), Killed ++ Ended, Remains}, Closed}.

unrestored(Pid) ->
    {_, Name, Function} = describe(Pid),
    Where = case Function of {M, F, Arity} -> io_lib:format("~ts:~ts/~b", [M, F, Arity]); _ -> "?" end,
    unicode:characters_to_binary([Name, " hangs in its code_change, in ", Where,
        ": it stays suspended until that returns, and goes on with its old state then; ",
        "end it to have its supervisor start it again"]).

unload(none, A) -> {[], [], A};
unload({Number, Side}, A) ->
    Back = other(Side),
    Modules = modules(Number, A),
    Killed = lists:append([users(M) || M <- Modules, not code:soft_purge(M)]),
    [code:purge(M) || M <- Modules],
    {More, Failed, Next} = exchanged(Number, Back, purge, A),
    {Killed ++ More, Failed, Next}.

%% Ask processes to put back their states; the answer to the second message tells of the first, without the state being
%% sent along. The dead are not waited for, whether or not it was heard that they died.
put_back(Changed, Unstash, #agent{nobody = Nobody}) ->
    Batch = make_ref(),
    Pids = lists:filter(fun is_process_alive/1, Changed),
    Back = {replace_state, Unstash},
    Forget = {replace_state, fun ?MODULE:forget/1},
    [begin P ! {system, {Nobody, P}, Back}, P ! {system, {self(), {Batch, P}}, Forget} end || P <- Pids],
    {Batch, Pids}.

missing({Batch, Pids}, Limit, A) ->
    Alone = A#agent{bridge = none, lease = infinity},
    case collect(Batch, Pids, ?NOW + Limit, Alone) of
        {ok, _, _} -> [];
        {late, Late, _, _} -> lists:filter(fun is_process_alive/1, Late)
    end.
