%% What a gen_statem remembers of its module beside its state: the callback mode.
%%
%% It asks its module for it when it starts and after a code_change, and no other message makes it ask. OTP's way down
%% has the code_change before the old code is loaded, and a state that is put back comes with no code_change at all: in
%% both, the process would go on in one mode with the code of another, and die of its next event.
%%
%% So it is made to ask again by a code_change that changes nothing. The code that is to stay has one that would, and
%% would be called: for a moment the same code is loaded with that function under another name, and what is not there
%% is looked for in this module, by these processes alone.

%% The callback modes of those modules that have one, as they are loaded now.
modes(Modules) ->
    [{M, catch M:callback_mode()} || M <- Modules, erlang:function_exported(M, callback_mode, 0)].

%% Let those ask again whose states were changed already, and whose module came to have another mode than Before.
%% Files are those of the code that was loaded. {Killed, Failed}: who stood in code that had to be purged for that
%% (which is done where Mode is purge), and why it could not be done.
read_again(Before, Files, Mode, #agent{changed = Changed, stuck = Stuck} = A) ->
    Now = modes([M || {M, _} <- Before]),
    Others = [File || {M, _, _} = File <- Files, lists:keyfind(M, 1, Now) =/= lists:keyfind(M, 1, Before)],
    Asked = maps:from_keys(Changed -- Stuck, true),
    Concerned = [{File, Pids} || {M, _, _} = File <- Others,
        (Pids = [P || {P, Ms} <- in_order(A), is_map_key(P, Asked), lists:member(M, Ms)]) =/= []],
    lists:foldl(
        fun({File, Pids}, {Killed, Failed}) ->
            {More, Wrong} = read_again(File, Pids, Mode, A, Failed),
            {More ++ Killed, Wrong}
        end,
        {[], []}, Concerned).

read_again({M, File, Binary}, Pids, Mode, A, Failed) ->
    case {code:soft_purge(M), Mode} of
        {false, soft} -> {[], [{M, stands_in_the_way(users(M))} | Failed]};
        {Free, _} ->
            Killed = case Free of true -> []; false -> users(M) end,
            replaced(M, File, without_code_change(Binary)),
            Late = ask_again(M, Pids, A),
            replaced(M, File, Binary),
            code:soft_purge(M),
            {Killed, [{M, <<Name/binary, " did not take up its callback mode">>} || {_, Name, _} <- Late] ++ Failed}
    end.

stands_in_the_way(Users) ->
    Names = lists:join(", ", [Name || {_, Name, _} <- Users]),
    Why = "its callback mode differs, which needs its other code purged, and ",
    unicode:characters_to_binary([Why, Names, " stand in it"]).

replaced(M, File, Binary) ->
    code:purge(M),
    {module, M} = code:load_binary(M, File, Binary).

%% Return who did not ask.
ask_again(M, Pids, #agent{nobody = Nobody} = A) ->
    Batch = make_ref(),
    Look = {replace_state, fun ?MODULE:look/1},
    Stop = {replace_state, fun ?MODULE:look_no_more/1},
    [begin
        P ! {system, {Nobody, P}, Look},
        P ! {system, {self(), {Batch, P}}, {change_code, M, relup, []}},
        P ! {system, {Nobody, P}, Stop}
     end || P <- Pids],
    Alone = A#agent{bridge = none, lease = infinity},
    {Answers, Late} = case collect(Batch, Pids, ?NOW + ?LIMIT, Alone) of
        {ok, All, _} -> {All, []};
        {late, Missing, Some, _} -> {Some, Missing}
    end,
    [describe(P) || P <- Late ++ [P || {{_, P}, Answer} <- Answers, Answer =/= ok]].

%% The same code whose code_change has a name that nobody calls. An atom comes after its length, which is written in
%% one of two ways.
without_code_change(Binary) ->
    {ok, _, Chunks} = beam_lib:all_chunks(Binary),
    Renamed = fun(Atoms) ->
        lists:foldl(
            fun(Length, Text) -> binary:replace(Text, <<Length, "code_change">>, <<Length, "code_chang_">>) end,
            Atoms, [11, 11 bsl 4])
    end,
    New = [{Id, case Id of "AtU8" -> Renamed(Data); _ -> Data end} || {Id, Data} <- Chunks],
    {ok, Other} = beam_lib:build_module(New),
    Other.
