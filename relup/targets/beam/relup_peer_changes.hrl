%% Changing the copies of states, each in a process of its own.

-define(MEMORY, 16#4000000).  % words that a change may take: 512 MB
-define(TOGETHER, 2000000000).  % nanoseconds that the changes of one module may take, but for the last one
-define(SAMPLES, 3).
-define(SIZED, 50).  % states of which the size is told
-define(FAILURES, 5).

%% The state of one process: how it is called, what OTP calls to change it, and of which modules it is; with the
%% dictionary of the process, as it was and as it is.
-record(copy, {label, name, kind, modules, first, now}).

%% What became of the states of one module; unlike are those of which it is not known how OTP changes them.
-record(tally, {
    until, limit, port, swapped,
    tried = 0, unlike = [], failed = 0, ns = 0, longest = 0, slowest = <<>>, sizes = [], types = #{}, samples = [],
    failures = [], held = [], over = false
}).

copy({Label, Name, Kind, Modules, Binary}) ->
    #copy{label = Label, name = Name, kind = Kind, modules = Modules, first = Binary, now = Binary}.

changed({M, _, _, _} = Change, Limit, #stage{copies = Copies, port = Port, swapped = Swapped} = S) ->
    Before = #tally{until = now_ns() + ?TOGETHER, limit = Limit, port = Port, swapped = Swapped},
    One = fun(#copy{modules = Modules} = C, T) ->
        case lists:member(M, Modules) of true -> one(C, Change, T); false -> {C, T} end
    end,
    {Next, T} = lists:mapfoldl(One, Before, Copies),
    {told(T), S#stage{copies = Next}}.

%% {changed, Tried, Failed, [Label of who is unlike], Nanoseconds, The longest, Whose that was, Bytes, Types, Samples, Failures,
%%  [{Label, What of its state is nothing here, Where}]}
told(#tally{tried = Tried, sizes = Sizes} = T) ->
    Size = case Sizes of [] -> 0; _ -> (Tried - T#tally.failed) * lists:sum(Sizes) div length(Sizes) end,
    Common = lists:sort([{-Count, Type} || {Type, Count} <- maps:to_list(T#tally.types)]),
    {changed, Tried, T#tally.failed, lists:sublist(T#tally.unlike, ?FAILURES), T#tally.ns, T#tally.longest, T#tally.slowest, Size,
        [Type || {_, Type} <- lists:sublist(Common, 5)], lists:reverse(T#tally.samples),
        lists:reverse(T#tally.failures), lists:reverse(T#tally.held)}.

one(#copy{label = Label, kind = none} = C, {_, _, _, itself}, #tally{unlike = Unlike} = T) ->
    {C, T#tally{unlike = [Label | Unlike]}};
one(C, Change, #tally{until = Until, over = Over} = T) ->
    case Over orelse now_ns() > Until of
        true -> {C, T};
        false -> noted(C, tried(C, Change, T), T#tally{tried = T#tally.tried + 1})
    end.

noted(#copy{label = Label} = C, {ok, Ns, Binary, Type, Size, Sample, Held}, #tally{longest = Longest} = T) ->
    Timed = case Ns > Longest of true -> T#tally{longest = Ns, slowest = Label}; false -> T end,
    {C#copy{now = Binary}, Timed#tally{
        ns = T#tally.ns + Ns,
        types = maps:update_with(Type, fun(N) -> N + 1 end, 1, T#tally.types),
        sizes = Size ++ T#tally.sizes,
        samples = [{Label, Ns, hd(Size), Lines} || Lines <- Sample] ++ T#tally.samples,
        held = [{Label, What, Where} || {What, Where} <- Held, length(T#tally.held) < ?FAILURES] ++ T#tally.held
    }};
noted(#copy{label = Label} = C, {Verdict, Words, Why, Trace}, #tally{failed = Failed, failures = Failures} = T) ->
    %% nobody waits for the next one that hangs
    Over = Verdict =:= hangs,
    case length(Failures) < ?FAILURES of
        true -> {C, T#tally{failed = Failed + 1, over = Over, failures = [{Label, Verdict, Words, Why, Trace} | Failures]}};
        false -> {C, T#tally{failed = Failed + 1, over = Over}}
    end.

%% Change one state, and wait for it: {ok, …} as succeeded/5 has it, or {failed | absent | hangs, Words, Why, Trace}.
tried(C, Change, #tally{limit = Limit, port = Port} = T) ->
    Options = [monitor, {max_heap_size, #{size => ?MEMORY, kill => true, error_logger => false}}],
    {Pid, Monitor} = spawn_opt(fun() -> exit({relup_returned, change(C, Change, T)}) end, Options),
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, Answer}} -> Answer;
        {'DOWN', Monitor, process, Pid, killed} -> {absent, <<"it was ended">>, <<"it takes more than 512 MB">>, <<>>};
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, words(Reason), <<>>, <<>>};
        {Port, eof} -> erlang:halt(0, [{flush, false}])
    after Limit ->
        Stack = case process_info(Pid, current_stacktrace) of {_, Frames} -> theirs(Frames); undefined -> [] end,
        exit(Pid, kill),
        demonitor(Monitor, [flush]),
        {hangs, text([io_lib:format("it does not return within ~p s", [Limit / 1000]), at(Stack)]), <<>>, trace(Stack)}
    end.

%% A stack without what is done here.
theirs(Stack) -> [Frame || Frame <- Stack, element(1, Frame) =/= ?MODULE].

at([]) -> [];
at([Frame | _]) -> [": it is in ", place(Frame)].

trace(Stack) -> text([["  ", place(Frame), "\n"] || Frame <- Stack]).

%% In the process of its own: be like the one that the state is of, and do what OTP does.
change(#copy{name = Name, kind = Kind, now = Binary}, Change, T) ->
    process_flag(trap_exit, true),
    {State, Dictionary} = binary_to_term(Binary),
    [put(Key, Value) || {Key, Value} <- Dictionary],
    is_atom(Name) andalso (catch register(Name, self())),
    Held = held(State, T#tally.swapped),
    Do = fun() -> by(Change, Kind, State) end,
    case timed(Do) of
        {First, {ok, New}} -> succeeded(State, New, settled(First, Do, T), Held, T);
        {_, {'EXIT', Class, Reason, Stack}} -> failed(Class, Reason, theirs(Stack), Held, T);
        {_, {wrong, Other}} -> {failed, returned(Other, expected(Kind, Change)), <<>>, <<>>};
        {_, Other} -> {failed, returned(Other, expected(Kind, Change)), <<>>, <<>>}
    end.

expected({gen_statem, _}, {_, _, _, itself}) -> "{ok, StateName, Data}";
expected({gen_statem, _}, _) -> "{ok, {StateName, Data}}";
expected(_, _) -> "{ok, State}".

timed(Do) ->
    Began = now_ns(),
    Answer = caught(Do),
    {now_ns() - Began, Answer}.

%% The first change waits for code to be loaded that a node has, so it is made again.
settled(First, Do, #tally{tried = 0}) ->
    case timed(Do) of
        {Second, {ok, _}} -> min(First, Second);
        _ -> First
    end;
settled(First, _, _) -> First.

%% As `catch`, which OTP has there, but for the class.
caught(Do) ->
    try Do()
    catch
        throw:Thrown -> Thrown;
        Class:Reason:Stack -> {'EXIT', Class, Reason, Stack}
    end.

succeeded(State, New, Ns, Held, #tally{sizes = Sizes, samples = Samples}) ->
    Size = [(1 + erts_debug:flat_size(New)) * erlang:system_info(wordsize) || length(Sizes) < ?SIZED],
    Lines = [differences(State, New, ?LINES) || length(Samples) < ?SAMPLES],
    {ok, Ns, term_to_binary({New, get()}), type(New), Size, Lines, Held}.

failed(Class, Reason, Stack, Held, #tally{swapped = Swapped}) ->
    Words = case Class of exit -> why({'EXIT', Reason}); error -> why({'EXIT', {Reason, Stack}}) end,
    Show = fun(Term, _) -> io_lib:format("~0tP", [Term, 20], [{chars_limit, 400}]) end,
    Trace = text(string:slice(erl_error:format_exception(Class, Reason, Stack, #{format_fun => Show}), 0, 4000)),
    Why = case absent(Class, Reason, Stack, Held) of none -> asleep(Class, Reason, Stack, Swapped); Found -> Found end,
    case Why of
        none -> {failed, Words, <<>>, Trace};
        _ -> {absent, Words, text(Why), Trace}
    end.

%% ── what OTP does ───────────────────────────────────────────────────────────────────────────────────────

by({_, Vsn, Extra, itself}, {gen_server, Callback}, State) -> Callback:code_change(Vsn, State, Extra);
by({_, Vsn, Extra, itself}, {gen_statem, Callback}, {Name, Data}) ->
    case Callback:code_change(Vsn, Name, Data, Extra) of
        {ok, NewName, NewData} -> {ok, {NewName, NewData}};
        {ok, _} = Other -> {wrong, Other};
        Other -> Other
    end;
by({M, Vsn, Extra, itself}, gen_event, Handlers) ->
    {ok, [handler(Handler, M, fun(S) -> M:code_change(Vsn, S, Extra) end) || Handler <- Handlers]};
by({M, Vsn, Extra, itself}, {special, Callback}, State) -> Callback:system_code_change(State, M, Vsn, Extra);
by({M, Vsn, Extra, {X, F}}, gen_event, Handlers) ->
    {ok, [handler(Handler, M, fun(S) -> X:F(Vsn, S, Extra) end) || Handler <- Handlers]};
by({_, Vsn, Extra, {X, F}}, Kind, State) ->
    case {Kind, X:F(Vsn, State, Extra)} of
        {{gen_statem, _}, {ok, Other} = Answer} when tuple_size(Other) =/= 2; not is_tuple(Other) -> {wrong, Answer};
        {_, Answer} -> Answer
    end.

handler({M, Id, State}, M, Change) ->
    case Change(State) of
        {ok, New} -> {M, Id, New};
        Other -> throw({wrong, Other})
    end;
handler(Handler, _, _) -> Handler.

%% ── there and back ──────────────────────────────────────────────────────────────────────────────────────

%% Of a state that is not what it was, the first difference.
compared(#copy{first = Same, now = Same}) -> [];
compared(#copy{label = Label, modules = [M | _], first = First, now = Now}) ->
    {Before, _} = binary_to_term(First),
    {After, _} = binary_to_term(Now),
    [{M, Label, Line} || Line <- differences(Before, After, 1)].
