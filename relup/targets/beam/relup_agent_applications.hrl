%% What the application controller knows of the applications that change.

%% Let applications be what the goal has: {Application, Its ebin, The text of its .app file}; and have the values that
%% differ, {Application, Key, Was, Is}, each {Value} or {}. A value that is not what it was by the files was set by
%% somebody else, and stays. Those that run are told what changed (Module:config_change/3).
%% Protocols that nobody called yet are loaded from a folder of their own: {How it ends in the path, What it becomes}.
become(Applications, Protocols, Config) ->
    [put_first(To, Folder) || {Ends, To} <- Protocols, filelib:is_dir(To), Folder <- code:get_path(),
        lists:suffix(Ends, Folder), Folder =/= To],
    Before = application_controller:prep_config_change(),
    Loaded = [App || {App, _, _} <- application:loaded_applications()],
    [configure(App, Key, Is) || {App, Key, Was, Is} <- Config, lists:member(App, Loaded), has(App, Key) =:= Was],
    [change(App, term(Text), Ebin) || {App, Ebin, Text} <- Applications, lists:member(App, Loaded)],
    tell_changes(Before).

%% The application controller calls Module:config_change/3 itself, and nobody can end one that hangs.
tell_changes(Before) ->
    Tell = fun() -> exit({relup_returned, application_controller:config_change(Before)}) end,
    {Pid, Monitor} = spawn_monitor(Tell),
    receive
        {'DOWN', Monitor, process, Pid, {relup_returned, ok}} -> ok;
        {'DOWN', Monitor, process, Pid, {relup_returned, {error, Reason}}} -> {failed, words(Reason)};
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, words(Reason)}
    after ?LIMIT ->
        exit(Pid, kill),
        {failed, <<"a config_change/3 does not return, and the application controller waits for it">>}
    end.

put_first(To, Folder) ->
    code:add_patha(To),
    code:del_path(Folder).

change(App, Spec, Ebin) ->
    application_controller:change_application_data([Spec], [{App, application:get_all_env(App)}]),
    filelib:is_dir(Ebin) andalso code:replace_path(App, Ebin).

has(App, Key) ->
    case application:get_env(App, Key) of
        {ok, Value} -> {Value};
        undefined -> {}
    end.

configure(App, Key, {Value}) -> application:set_env(App, Key, Value);
configure(App, Key, {}) -> application:unset_env(App, Key).

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.
