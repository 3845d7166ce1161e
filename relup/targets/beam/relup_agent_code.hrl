%% The code of an upgrade: both sides of each window are read and checked before it is opened, then exchanged at once.

-record(window, {
    %% {Module, File, Binary} of what comes and of what it replaces, and what code:prepare_loading made of them
    new = [],
    old = [],
    removed = [],
    prepared = #{}
}).

%% Ready both directions: the new code, and that which runs, found again in its file and compared by md5. Where that file
%% is gone, or never was on this machine, the code may be Known to the controller.
prepare(Number, News, Removed, Known, #agent{windows = Windows} = A) ->
    Modules = [M || {M, _, _} <- News] ++ Removed,
    Loaded = [M || M <- Modules, code:is_loaded(M) =/= false],
    Olds = [{M, old_code(M, Known)} || M <- Loaded],
    Window = #window{new = News, old = [Old || {_, {_, _, _} = Old} <- Olds], removed = Removed},
    Wrong =
        [{not_purged, M, users(M)} || M <- Modules, erlang:check_old_code(M), not code:soft_purge(M)] ++
        [{sticky, M, []} || M <- Modules, code:is_sticky(M)] ++
        [{no_old_code, M, []} || {M, none} <- Olds],
    case Wrong =:= [] andalso {prepared(News), prepared(Window#window.old)} of
        false -> {{error, Wrong}, A};
        {{ok, New}, {ok, Old}} ->
            {ok, A#agent{windows = Windows#{Number => Window#window{prepared = #{new => New, old => Old}}}}};
        {New, Old} ->
            Reasons = lists:usort([Reason || {error, Reasons} <- [New, Old], Reason <- Reasons]),
            {{error, [{unfit(Reason), M, []} || {M, Reason} <- Reasons]}, A}
    end.

unfit(on_load_not_allowed) -> on_load;
unfit(Reason) -> words(Reason).

%% What was made ready can be loaded once; where nobody knows whether it was, it is made ready again.
unready(#agent{windows = Windows} = A) ->
    A#agent{windows = maps:map(fun(_, Window) -> Window#window{prepared = #{}} end, Windows)}.

prepared([]) -> {ok, none};
prepared(Files) -> code:prepare_loading(Files).

%% The code of a module that runs, as its file has it, or one that is known; none when neither does.
old_code(M, Known) ->
    Md5 = M:module_info(md5),
    Files = [{M, File, Binary} || File <- [code:which(M)], is_list(File), {ok, Binary} <- [file:read_file(File)]],
    Same = [Old || {Module, _, Binary} = Old <- Files ++ Known, Module =:= M, beam_lib:md5(Binary) =:= {ok, {M, Md5}}],
    case Same of
        [First | _] -> First;
        [] -> none
    end.

digest(M) ->
    case erlang:module_loaded(M) of
        true -> M:module_info(md5);
        false -> none
    end.

%% The version that a process's state is of, as code_change is told: on the way down it is the one to go back to.
old_vsn(M, up, Side, Window) -> vsn(M, element(1, side(Window, other(Side))));
old_vsn(M, down, Side, Window) -> {down, vsn(M, element(1, side(Window, Side)))}.

other(new) -> old;
other(old) -> new.

vsn(M, Files) ->
    case lists:keyfind(M, 1, Files) of
        {M, _, Binary} ->
            {ok, {M, Vsn}} = beam_lib:version(Binary),
            one(Vsn);
        false ->
            one(proplists:get_value(vsn, M:module_info(attributes), []))
    end.

%% -vsn("1") is given as the string, -vsn(1) as a list of it.
one([Vsn] = List) ->
    case io_lib:printable_unicode_list(List) of
        true -> List;
        false -> Vsn
    end;
one(Vsn) -> Vsn.

users(M) -> [describe(P) || P <- processes(), erlang:check_process_code(P, M)].

%% Make one side of a window current, all modules at once.
load_side(Number, Side, A) ->
    #agent{windows = #{Number := Window} = Windows} = A,
    case loaded_meanwhile(Window, Side) =:= [] andalso exchange(Window, Side) of
        {ok, Used} -> {ok, A#agent{loaded = {Number, Side}, windows = Windows#{Number := Used}}};
        {error, Reasons} -> {{error, [{M, words(Reason)} || {M, Reason} <- Reasons]}, A};
        false -> {{error, [{M, words(loaded_meanwhile)} || M <- loaded_meanwhile(Window, Side)]}, A}
    end.

%% Modules that were not loaded when the window was made ready, and are now: what would take them back is not at hand.
loaded_meanwhile(#window{new = News, old = Olds}, new) ->
    [M || {M, _, _} <- News, not lists:keymember(M, 1, Olds), erlang:module_loaded(M)];
loaded_meanwhile(_, old) -> [].

exchange(#window{prepared = Prepared} = Window, Side) ->
    {Files, Gone} = side(Window, Side),
    Ready = case Prepared of
        #{Side := Before} -> {ok, Before};
        _ -> prepared(Files)
    end,
    case Ready of
        {ok, none} -> removed(Gone, Window);
        {ok, Code} ->
            case code:finish_loading(Code) of
                ok -> removed(Gone, Window#window{prepared = maps:remove(Side, Prepared)});
                {error, Reasons} -> {error, Reasons}
            end;
        {error, Reasons} -> {error, Reasons}
    end.

side(#window{new = News, removed = Removed}, new) -> {News, Removed};
side(#window{new = News, old = Olds}, old) -> {Olds, [M || {M, _, _} <- News, not lists:keymember(M, 1, Olds)]}.

files(Number, Side, #agent{windows = Windows}) -> element(1, side(maps:get(Number, Windows), Side)).

removed(Gone, Window) ->
    [code:delete(M) || M <- Gone],
    {ok, Window}.

modules(Number, #agent{windows = Windows}) ->
    #window{new = News, removed = Removed} = maps:get(Number, Windows),
    [M || {M, _, _} <- News] ++ Removed.

purge(none, _) -> ok;
purge({Number, _}, A) -> [code:soft_purge(M) || M <- modules(Number, A)], ok.
