%% The part of an upgrade that lives in the node: the journal, the way back, and the lease.
%%
%% One process, registered as relup_agent while an upgrade is in progress, and gone after it. It carries out what a
%% controller asks for through its bridge, remembers what takes that back, and takes it back by itself when the bridge
%% is gone, or silent for longer than the lease. So nothing stays suspended, whoever dies.
%%
%% Effects take batches: all messages are sent before the first answer is waited for. An old state stays in its own
%% process, in its dictionary; it is never copied, whatever its size. What processes are asked to call are external
%% functions, so nobody keeps code of this module.
%%
%% Here is its life, and what it is asked; its parts are files of their own, and one module all the same: for each that
%% goes, the node looks at every process it has.
-module(relup_agent).

%% a node keeps for a debugger where each line is of whatever was ever loaded, also when that is gone (OTP's JIT)
-compile(no_line_info).

-export([start/3]).
%% called in the processes whose states change
-export([stash/1, unstash/1, forget/1, asked/2, changed/3, migrated/1, look/1, look_no_more/1]).
-export([undefined_function/3, undefined_lambda/3]).

-include("relup_agent.hrl").
-include("relup_agent_words.hrl").
-include("relup_reasons.hrl").
-include("relup_agent_seen.hrl").
-include("relup_agent_census.hrl").
-include("relup_agent_suspension.hrl").
-include("relup_agent_code.hrl").
-include("relup_agent_window.hrl").
-include("relup_agent_states.hrl").
-include("relup_agent_migration.hrl").
-include("relup_agent_modes.hrl").
-include("relup_agent_applications.hrl").
-include("relup_agent_deadline.hrl").
-include("relup_agent_calls.hrl").
-include("relup_agent_copies.hrl").

%% ── its life ────────────────────────────────────────────────────────────────────────────────────────────

%% Become the agent of this node for Owner (a text), as long as Bridge lives and is heard of every Lease milliseconds.
start(Owner, Bridge, Lease) ->
    Tag = make_ref(),
    Self = self(),
    %% a limit for all of the node's processes (+hmax) would kill the agent while everybody stands still
    Options = [monitor, {priority, high}, {max_heap_size, 0}],
    {Pid, Monitor} = spawn_opt(fun() -> init({Self, Tag}, Owner, Bridge, Lease) end, Options),
    receive
        {Tag, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Pid, Reason} ->
            {failed, Reason}
    end.

init({Starter, Tag}, Owner, Bridge, Lease) ->
    group_leader(whereis(init), self()),
    case catch register(?MODULE, self()) of
        true ->
            put(owner, Owner),
            monitor(process, Bridge),
            Nobody = spawn(fun() -> ok end),
            Starter ! {Tag, {ok, self()}},
            live(#agent{owner = Owner, bridge = Bridge, lease = Lease, heard = ?NOW, nobody = Nobody});
        _ ->
            Starter ! {Tag, {busy, holder()}}
    end.

%% Whose agent there is, and whether it only waits for a deadline.
holder() ->
    Entries = case catch process_info(whereis(?MODULE), dictionary) of
        {dictionary, Known} -> Known;
        _ -> []
    end,
    {proplists:get_value(owner, Entries, <<"somebody">>), proplists:is_defined(deadline, Entries)}.

%% Do what is asked for, until nobody is left to ask; what is under way then is given up where it stands.
live(A) ->
    try loop(A)
    catch throw:{lost, Now} -> lost(Now)
    end.

loop(A) ->
    receive
        {heartbeat, Courier} when Courier =:= A#agent.bridge ->
            loop(A#agent{heard = ?NOW});
        {'$gen_call', {Courier, Tag}, Request}
            when Courier =/= A#agent.bridge, not (is_tuple(Request) andalso element(1, Request) =:= adopt) ->
            %% of a controller that was taken for dead, and whose upgrade was taken back
            erlang:send(Courier, {Tag, {not_yours, A#agent.owner}}, [noconnect]),
            loop(A);
        {'$gen_call', {Courier, Tag}, Request} ->
            {Reply, Next} = attempt(Request, A),
            erlang:send(Courier, {Tag, Reply}, [noconnect]),  % who is cut off is not looked for
            case Request of
                finish -> vanish();
                _ -> loop(settled(Next#agent{heard = ?NOW}))
            end;
        {'DOWN', _, process, Pid, _} when Pid =:= A#agent.bridge ->
            throw({lost, A});
        {'DOWN', _, process, Pid, _} ->
            loop(died(Pid, A));
        expired when A#agent.lease =:= infinity ->
            throw({lost, A#agent{due = none}});
        {turn, Turn} when Turn =:= A#agent.turn, A#agent.lease =:= infinity ->
            loop(ask_again(A));
        _ ->
            loop(A)
    after silence(A) ->
        throw({lost, A})
    end.

%% What follows a window is done when everybody goes on, also when nobody is left to ask for it.
settled(#agent{watched = [], next = []} = A) -> A;
settled(#agent{next = Requests} = A) ->
    {Answers, Next} = lists:mapfoldl(fun attempt/2, forgotten(A#agent{next = []}), Requests),
    Next#agent{settled = [Answer || Answer <- Answers, not well(Answer)]}.

%% How long the bridge may still be silent; for ever once the upgrade waits for nothing but to be confirmed.
silence(#agent{lease = infinity}) -> infinity;
silence(#agent{heard = Heard, lease = Lease}) -> max(0, Heard + Lease - ?NOW).

%% Answer a request. One that fails as nobody thought it could leaves a window that can be rolled back all the same.
attempt(Request, A) ->
    try handle(Request, A)
    catch
        throw:{lost, Now} -> throw({lost, Now});
        Class:Reason:Stack -> {{crashed, words({Class, Reason, Stack})}, doubtful(Request, unready(A))}
    end.

%% What may have been done by a request that did not come to its end. To resume who runs, and to forget what is not
%% kept, changes nothing.
doubtful({load, Number, Side}, A) -> A#agent{loaded = {Number, Side}};
doubtful({suspend, _}, #agent{selected = Selected, supervisors = Above} = A) ->
    A#agent{asked = maps:keys(Selected) ++ Above};
doubtful({change_code, _, _, _, _}, #agent{selected = Selected} = A) -> A#agent{changed = maps:keys(Selected)};
doubtful(_, A) -> A.

%% Take everything back, and end; or wait for the deadline again that was waited for before.
lost(A) ->
    Alone = A#agent{bridge = none, lease = infinity},
    {{ok, _, _, Remains}, Rolled} = rollback(Alone),
    {More, Back} = lists:mapfoldl(fun lead_back/2, settled(Rolled#agent{back = []}), A#agent.back),
    tell(Remains ++ lists:append(More), A),
    case A#agent.due =:= none orelse recorded(A#agent.record) of
        true ->
            [purge({Number, new}, A) || Number <- maps:keys(A#agent.windows)],
            vanish();
        false -> live(waiting(Back#agent{record = none}))
    end.

%% Carry out a group of requests; when one of them fails the window that they opened is rolled back.
lead_back(Requests, A) ->
    {Answers, Next} = in_turn(Requests, A),
    case failed(Requests, Answers) of
        none -> {[], settled(Next)};
        {Request, Answer} ->
            {_, Rolled} = rollback(Next),
            {[remains(Request, Answer)], settled(Rolled)}
    end.

%% Carry out requests one after the other as long as they go well; the answers of those that were.
in_turn([], A) -> {[], A};
in_turn([Request | Rest], A) ->
    {Answer, Next} = attempt(Request, A),
    {Answers, Last} = in_turn([R || R <- Rest, well(Answer)], Next),
    {[Answer | Answers], Last}.

%% Which of these failed, and how: the last of those that were carried out, if any.
failed([Request | _], [Answer]) ->
    case well(Answer) of
        true -> none;
        false -> {Request, Answer}
    end;
failed([_ | Requests], [_ | Answers]) -> failed(Requests, Answers);
failed([], []) -> none.

well(ok) -> true;
well({ok, _}) -> true;
well({ok, _, _}) -> true;
well(_) -> false.

remains({not_taken_back, Call}, _) -> <<Call/binary, " is not undone: nothing is known that takes it back">>;
remains(Request, Answer) -> words({Request, Answer}).

%% Nobody else is left to be told what could not be taken back.
tell([], _) -> ok;
tell(Remains, #agent{owner = Owner}) ->
    Format = "the upgrade by ~ts was lost, and not all of it could be taken back: ~ts",
    logger:error(Format, [Owner, lists:join("; ", Remains)]).

%% Let somebody who runs no code of the agent take it away, and be busy for others until that is done.
vanish() ->
    Text = "R = monitor(process, P), receive {'DOWN', R, process, P, _} -> catch register(M, self()) end, "
        "code:soft_purge(M), code:delete(M), code:soft_purge(M).",
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    spawn(erl_eval, exprs, [Expressions, [{'P', self()}, {'M', ?MODULE}]]).

%% Do something to its end, whoever is lost meanwhile: half of it is worse than all or nothing.
undisturbed(Do, #agent{bridge = Bridge, lease = Lease} = A) ->
    {Answer, Next} = Do(A#agent{bridge = none, lease = infinity}),
    {Answer, Next#agent{bridge = Bridge, lease = Lease}}.

%% ── requests ────────────────────────────────────────────────────────────────────────────────────────────

handle({prepare, Number, News, Removed, Known}, A) -> prepare(Number, News, Removed, Known, A);
handle({concerned, Modules, Code}, A) -> concerned(Modules, Code, A);
handle({copies, Modules, Changed}, A) -> {copies(Modules, Changed, A), A};
handle({old_vsns, Asked}, #agent{windows = Windows} = A) ->
    {[old_vsn(M, Mode, Side, maps:get(Number, Windows)) || {M, Number, Mode, Side} <- Asked], A};
handle({select, Modules}, A) -> select(Modules, A);
handle({suspend, Timeouts}, A) -> suspend(Timeouts, A);
handle({load, Number, Side}, A) -> load(Number, Side, A);
handle({change_code, Number, Side, Mode, Changes}, A) ->
    Vsn = fun(M) -> old_vsn(M, Mode, Side, maps:get(Number, A#agent.windows)) end,
    case change_code([{M, Vsn(M), Extra, Limit, By} || {M, Extra, Limit, By} <- Changes], A) of
        %% the answer to the question that comes next, mostly
        {ok, Next} -> handle(verify, know_children(Number, Side, Next));
        Failed -> Failed
    end;
handle({forget_added, S, Ids}, A) -> apart(fun() -> {false, forget_added(S, Ids)} end, ?LIMIT, A);
handle({in_turn, Requests}, A) -> in_turn(Requests, A);
handle({call, {M, F, Args}, Timeout}, A) -> call(M, F, Args, Timeout, A);
handle({inside, Request, Back}, A) ->
    case undisturbed(fun(Alone) -> handle(Request, Alone) end, A) of
        {ok, #agent{called = Called} = Next} -> {ok, Next#agent{called = [Back | Called]}};
        Failed -> Failed
    end;
handle({stop, Modules}, A) -> stop(Modules, A);
handle({start, Modules}, A) -> start_again(Modules, A);
handle(verify, A) ->
    case between(A) of
        [] -> {{ok, lists:map(fun late/1, A#agent.died)}, A};
        Born -> {{born, lists:map(fun describe/1, Born)}, A}
    end;
handle({leading_back, Request, Back}, #agent{back = Before} = A) ->
    %% should it be lost meanwhile, it may have been done
    case handle(Request, A#agent{back = Back}) of
        {ok, Next} -> {ok, Next};
        {Failed, Next} -> {Failed, Next#agent{back = Before}}
    end;
handle({taking_back, Request, Back}, A) ->
    case undisturbed(fun(Alone) -> handle(Request, Alone) end, A) of
        {ok, Next} -> {ok, Next#agent{back = Back}};
        Failed -> Failed
    end;
handle({not_taken_back, _} = Request, A) -> {Request, A};
handle({resume, Back, Next}, #agent{added = Added} = A) ->
    resume(A#agent{back = Back, next = Next ++ [{forget_added, S, Ids} || {S, Ids} <- Added]});
handle({become, Applications, Protocols, Places, Config}, A) -> become(Applications, Protocols, Places, Config, A);
handle({configure, Places, Config}, A) -> configure(Places, Config, A);
handle({set_otherwise, Config}, A) -> {in_time(fun() -> {ok, set_otherwise(Config)} end), A};
handle(settled, #agent{settled = Answer} = A) -> {Answer, A};
handle(rollback, A) -> undisturbed(fun rollback/1, A);
handle({provisional, Milliseconds, Back, Probes}, A) ->
    Pause = max(?LEAST_PAUSE, Milliseconds div ?TIMES),
    Asked = [{ask, Call, Limit} || {Call, Limit} <- Probes],
    {ok, waiting(A#agent{due = {?NOW + Milliseconds, Back}, probes = {Pause, Asked}})};
handle({ask, {M, F, Args}, Limit}, A) -> ask(M, F, Args, Limit, A);
handle({confirming, File, Text}, A) -> {ok, A#agent{record = {File, Text}}};
handle({adopt, Owner, Bridge, Lease}, #agent{due = {_, _}, lease = infinity} = A) -> adopt(Owner, Bridge, Lease, A);
handle({adopt, _, _, _}, A) -> {{busy, A#agent.owner}, A};
handle(give_back, A) -> {ok, waiting(A)};
handle(decided, A) -> {ok, A#agent{due = none}};
handle({digests, Modules}, A) -> {[{M, digest(M)} || M <- Modules], A};
handle(finish, A) -> {ok, A}.
