%% What the application controller knows of the applications that change.

%% Let applications be found that come, and no longer those that go: {there | gone, Application, Its ebin}; and have the
%% values that differ: {Application, Key, Was, Is}, each {Value} or {}. A value that is not what it was by the files was
%% set by somebody else, and stays. Applications that are not loaded find theirs when they are: what they are loaded
%% with is the application controller's own list, which `persistent` changes too.
configure(Places, Config, #agent{env = Env} = A) ->
    case in_time(fun() -> {ok, values(Places, Config, Env)} end) of
        {ok, Before} -> {ok, A#agent{env = Before}};
        Failed -> {Failed, A}
    end.

%% What environments were before the first of these changes.
values(Places, Config, Env) ->
    Before = case Env of none -> application_controller:prep_config_change(); _ -> Env end,
    lists:foreach(fun located/1, Places),
    Loaded = loaded(),
    Kept = configured(),
    [put_env(App, Key, Is) || {App, Key, Was, Is} <- Config, has(App, Key, lists:member(App, Loaded), Kept) =:= Was],
    Before.

%% The values that are neither what they are by the files nor what they are to be.
set_otherwise(Config) ->
    Loaded = loaded(),
    Kept = configured(),
    [{App, Key} || {App, Key, Was, Is} <- Config,
        Now <- [has(App, Key, lists:member(App, Loaded), Kept)], Now =/= Was, Now =/= Is].

%% Let applications be what the goal has: {Application, Its ebin, The text of its .app file}. Those that run are told
%% what changed in their environments since the first of them did (Module:config_change/3).
%% Protocols that nobody called yet are loaded from a folder of their own: {How it ends in the path, What it becomes}.
become(Applications, Protocols, Places, Config, #agent{env = Env} = A) ->
    [put_first(To, Folder) || {Ends, To} <- Protocols, filelib:is_dir(To), Folder <- code:get_path(),
        lists:suffix(Ends, Folder), Folder =/= To],
    Become = fun() ->
        Before = values(Places, Config, Env),
        Loaded = loaded(),
        [change(App, term(Text), Ebin) || {App, Ebin, Text} <- Applications, lists:member(App, Loaded)],
        application_controller:config_change(Before)
    end,
    Answer = case in_time(Become) of
        {error, Reason} -> {failed, words(Reason)};
        Other -> Other
    end,
    {Answer, A#agent{env = none}}.

%% The application controller calls Module:config_change/3 itself: while one hangs, nobody is answered, and nobody can
%% end it. Who asks is another process than the agent, which goes on.
in_time(Ask) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({relup_returned, Ask()}) end),
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, Value}} -> Value;
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, words(Reason)}
    after ?LIMIT ->
        exit(Pid, kill),
        {failed, <<"the application controller does not answer: a config_change/3 may not return">>}
    end.

%% What runs keeps its place, whoever started it.
located({there, _, Ebin}) ->
    filelib:is_dir(Ebin) andalso not lists:member(Ebin, code:get_path()) andalso code:add_pathz(Ebin);
located({gone, App, _}) ->
    case lists:keymember(App, 1, application:which_applications(infinity)) of
        true -> ok;
        false -> application:unload(App), code:del_path(App)
    end.

put_first(To, Folder) ->
    code:add_patha(To),
    code:del_path(Folder).

%% The list that is handed over replaces the controller's own, for all applications; the command line replaces it.
change(App, Spec, Ebin) ->
    Env = application:get_all_env(App),
    application_controller:change_application_data([Spec], lists:keystore(App, 1, configured(), {App, Env})),
    [application:set_env(App, Key, Value) || {Key, Value} <- Env, application:get_env(App, Key) =/= {ok, Value}],
    filelib:is_dir(Ebin) andalso code:replace_path(App, Ebin).

%% Start an application, which a permanent one that fails would end the node for: it is of its type once it runs.
start_application(App, Type) ->
    case application:start(App, temporary) of
        ok when Type =/= temporary ->
            sys:replace_state(application_controller, fun(State) -> typed(App, Type, State) end, infinity),
            ok;
        Answer -> Answer
    end.

%% Only one field of the controller's state has it.
typed(App, Type, State) ->
    Typed = fun({Name, temporary}) when Name =:= App -> {App, Type}; (Other) -> Other end,
    list_to_tuple([case is_list(Field) of true -> lists:map(Typed, Field); false -> Field end ||
        Field <- tuple_to_list(State)]).

loaded() -> [App || {App, _, _} <- application:loaded_applications()].

%% What applications are loaded with beside their defaults; only the controller's state says it, its last field.
configured() ->
    State = sys:get_state(application_controller, ?LIMIT),
    case is_tuple(State) andalso element(tuple_size(State), State) of
        [{App, Env} | _] = Known when is_atom(App), is_list(Env) -> Known;
        _ -> []
    end.

has(App, Key, true, _) ->
    case application:get_env(App, Key) of
        {ok, Value} -> {Value};
        undefined -> {}
    end;
has(App, Key, false, Kept) ->
    case lists:keyfind(Key, 1, proplists:get_value(App, Kept, [])) of
        {Key, Value} -> {Value};
        false -> {}
    end.

put_env(App, Key, {Value}) -> application:set_env(App, Key, Value, [{persistent, true}]);
put_env(App, Key, {}) -> application:unset_env(App, Key, [{persistent, true}]).

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.
