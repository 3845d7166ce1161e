%% States as people see them: what they are, where two differ, and what of one is nothing here.

-define(PARTS, 100000).  % that are compared, or looked through
-define(LINES, 12).
-define(WIDTH, 80).
-define(PLACES, 3).  % that are named of what a state holds of one kind

%% ── what a state is ─────────────────────────────────────────────────────────────────────────────────────

type(#{'__struct__' := Name}) when is_atom(Name) -> text(["%", shown(Name), "{}"]);
type(Map) when is_map(Map) -> text(io_lib:format("map of ~b", [map_size(Map)]));
type(Tuple) when is_tuple(Tuple), tuple_size(Tuple) > 0, is_atom(element(1, Tuple)) ->
    text(["{", shown(element(1, Tuple)), [", …" || tuple_size(Tuple) > 1], io_lib:format("} of ~b", [tuple_size(Tuple)])]);
type(Tuple) when is_tuple(Tuple) -> text(io_lib:format("tuple of ~b", [tuple_size(Tuple)]));
type(Term) ->
    Kinds = [{list, is_list(Term)}, {integer, is_integer(Term)}, {float, is_float(Term)}, {atom, is_atom(Term)},
        {binary, is_binary(Term)}, {bitstring, is_bitstring(Term)}, {pid, is_pid(Term)}, {port, is_port(Term)},
        {reference, is_reference(Term)}, {function, is_function(Term)}],
    {Kind, true} = lists:keyfind(true, 2, Kinds),
    atom_to_binary(Kind).

shown(Atom) -> string:replace(atom_to_list(Atom), "Elixir.", "").

short(Term) -> io_lib:format("~0tP", [Term, 12], [{chars_limit, ?WIDTH}]).

text(Characters) -> unicode:characters_to_binary(Characters).

%% ── where two differ ────────────────────────────────────────────────────────────────────────────────────

%% At most so many lines, the shallow parts first: `state.count: 3 → 1003`, `+ state.step: 1`. A tuple's parts are
%% counted as element/2 counts, a list's as lists:nth/2.
differences(Same, Same, _) -> [];
differences(Before, After, Most) -> level([{"state", Before, After}], [], Most, ?PARTS).

level([], [], _, _) -> [];
level(_, _, Most, Parts) when Most =< 0; Parts =< 0 -> [];
level([], Below, Most, Parts) -> level(lists:append(lists:reverse(Below)), [], Most, Parts);
level([{Path, Before, After} | Rest], Below, Most, Parts) ->
    {Lines, Deeper} = differing(Path, Before, After),
    Some = lists:sublist(Lines, Most),
    Some ++ level(Rest, [Deeper | Below], Most - length(Some), Parts - 1 - length(Deeper)).

differing(_, Same, Same) -> {[], []};
differing(Path, Before, After) ->
    case {parts(Before), parts(After)} of
        {{Kind, Were}, {Kind, Are}} ->
            {[line("- ", Path, Part, Value) || {Part, Value} <- missing(Were, Are)] ++
                [line("+ ", Path, Part, Value) || {Part, Value} <- missing(Are, Were)],
             both(Path, Were, Are)};
        _ -> {[text([Path, ": ", short(Before), " → ", short(After)])], []}
    end.

line(Sign, Path, Part, Value) -> text([Sign, Path, written(Part), ": ", short(Value)]).

missing(These, Others) ->
    Known = maps:from_list(Others),
    [Part || {Key, _} = Part <- These, not is_map_key(Key, Known)].

both(Path, Were, Are) ->
    Now = maps:from_list(Are),
    [{[Path, written(Key)], Value, maps:get(Key, Now)} || {Key, Value} <- Were, is_map_key(Key, Now),
        Value =/= maps:get(Key, Now)].

%% {What kind of whole it is, [{Which part, The part}]}; none for what is one thing.
parts(Map) when is_map(Map) -> {map, [{{key, Key}, Value} || {Key, Value} <- lists:sort(maps:to_list(Map))]};
parts(Tuple) when is_tuple(Tuple), tuple_size(Tuple) > 0 ->
    Tag = case element(1, Tuple) of Atom when is_atom(Atom) -> Atom; _ -> {} end,
    {{tuple, Tag}, numbered(element, tuple_to_list(Tuple))};
parts([_ | _] = List) ->
    case length_of(List) of
        improper -> none;
        _ -> case io_lib:printable_unicode_list(List) of true -> none; false -> {list, numbered(nth, List)} end
    end;
parts([]) -> {list, []};
parts(_) -> none.

length_of(List) -> try length(List) catch error:badarg -> improper end.

numbered(Kind, List) -> [{{Kind, N}, Value} || {N, Value} <- lists:zip(lists:seq(1, length(List)), List)].

written({key, Key}) when is_atom(Key) -> [".", atom_to_list(Key)];
written({key, Key}) -> ["[", short(Key), "]"];
written({element, N}) -> ["{", integer_to_list(N), "}"];
written({nth, N}) -> ["[", integer_to_list(N), "]"].

%% ── what is nothing here ────────────────────────────────────────────────────────────────────────────────

%% [{What, Where}], the last first: ports, handles of the node's tables and native code, and functions of code that is
%% exchanged, which are gone once that is purged.
held(State, Swapped) ->
    [{What, places(lists:reverse(Paths))} || {What, Paths} <- lists:reverse(held([{"state", State}], Swapped, ?PARTS, []))].

held([], _, _, Found) -> Found;
held(_, _, Parts, Found) when Parts =< 0 -> Found;
held([{Path, Term} | Rest], Swapped, Parts, Found) ->
    case what(Term, Swapped) of
        none ->
            Below = case parts(Term) of
                {_, Several} -> [{[Path, written(Key)], Value} || {Key, Value} <- Several, is_large(Value)];
                none -> []
            end,
            held(Below ++ Rest, Swapped, Parts - 1, Found);
        What ->
            Before = proplists:get_value(What, Found, []),
            held(Rest, Swapped, Parts - 1, lists:keystore(What, 1, Found, {What, [Path | Before]}))
    end.

places(Paths) ->
    {Shown, More} = lists:split(min(?PLACES, length(Paths)), Paths),
    text([lists:join(", ", Shown), [io_lib:format(" and ~b more", [length(More)]) || More =/= []]]).

is_large(Term) -> not (is_number(Term) orelse is_atom(Term) orelse is_binary(Term) orelse is_pid(Term)).

what(Port, _) when is_port(Port) -> <<"a port">>;
what(Reference, _) when is_reference(Reference) ->
    case is_handle(Reference) of true -> <<"a table or a handle of native code">>; false -> none end;
what(Function, Swapped) when is_function(Function) ->
    {module, M} = erlang:fun_info(Function, module),
    case erlang:fun_info(Function, type) =:= {type, local} andalso lists:member(M, Swapped) of
        true -> text(["a function of ", shown(M), "'s old code"]);
        false -> none
    end;
what(_, _) -> none.

%% A reference that stands for something in the node's memory has a bit of its second number set, the last but one as
%% they are written.
is_handle(Reference) ->
    case lists:reverse(string:lexemes(ref_to_list(Reference), ".<>#")) of
        [_, Second, _, _ | _] -> list_to_integer(Second) band 16#20000 =/= 0;
        _ -> false
    end.
