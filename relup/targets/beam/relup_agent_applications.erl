%% What the application controller knows of the applications that change.
-module(relup_agent_applications).

-export([become/1]).

-import(relup_agent_census, [words/1]).

%% Let applications be what the goal has, and tell those that run what changed in their environments
%% (Module:config_change/3): {Application, Its ebin, The text of its .app file}. What was set while the node ran stays.
become([]) -> ok;
become(Applications) ->
    Environment = application_controller:prep_config_change(),
    Loaded = [App || {App, _, _} <- application:loaded_applications()],
    change([{App, term(Text), Ebin} || {App, Ebin, Text} <- Applications, lists:member(App, Loaded)]),
    case application_controller:config_change(Environment) of
        ok -> ok;
        {error, Reason} -> {failed, words(Reason)}
    end.

change(Applications) ->
    Environments = [{App, application:get_all_env(App)} || {App, _, _} <- Applications],
    application_controller:change_application_data([Spec || {_, Spec, _} <- Applications], Environments),
    [code:replace_path(App, Ebin) || {App, _, Ebin} <- Applications, filelib:is_dir(Ebin)].

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.
