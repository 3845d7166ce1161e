%% Errors that say nothing of the upgrade: something was asked for that only the node has.

%% Why it cannot be told here, in words; none for a failure that the node would have as well.
absent(exit, Reason, _, _) -> gone(Reason);
absent(error, undef, [{undefined, _, _, _} | _], _) -> "it wants a connection";
absent(error, undef, [{M, F, _, _} | _], _) ->
    %% a file that is there, and native code of it that is not
    case is_list(code:which(M)) andalso code:ensure_loaded(M) of
        {error, Why} -> io_lib:format("~ts cannot be loaded here (~tp), of which it calls ~ts", [M, Why, F]);
        _ -> none
    end;
absent(error, badarg, [{ets, _, [Table | _], _} | _], _) ->
    case catch ets:info(Table) of
        Known when is_list(Known) -> none;
        _ -> io_lib:format("it uses a table of the node's, ~tp", [Table])
    end;
absent(error, badarg, [{persistent_term, get, [Key], _} | _], _) ->
    io_lib:format("it uses a persistent term of the node's, ~tp", [Key]);
absent(error, badarg, [{erlang, send, [Name | _], _} | _], _) when is_atom(Name) ->
    io_lib:format("it sends to ~tp, which does not run here", [Name]);
absent(error, #{'__exception__' := true}, [{'Elixir.Registry', _, _, _} | _], _) -> "it uses a registry of the node's";
absent(error, {erpc, _}, _, _) -> "it asks another node";
absent(error, {nif_not_loaded, _}, _, _) -> "it calls native code that is not loaded here";
absent(error, Reason, [{M, F, Args, _} | _], Held) when is_list(Args) ->
    IsBadarg = Reason =:= badarg orelse is_tuple(Reason) andalso element(1, Reason) =:= badarg,
    case IsBadarg andalso lists:any(fun is_foreign/1, Args) of
        true -> io_lib:format("it hands ~ts:~ts what only the node has", [M, F]);
        false -> unmatched(Reason, Held)
    end;
absent(error, Reason, _, Held) -> unmatched(Reason, Held).

%% What a library raises with a reason of its own whose application would be running in the node: mostly that a repository,
%% pool or cache is unknown. It may be the fault of whoever called as well; in an application that is being upgraded, and
%% in the languages themselves, it always is.
asleep(error, Reason, [{M, _, _, _} | _], Swapped) ->
    case is_raised_by_language(Reason) of
        true -> none;
        false -> asleep(application_of(M), [App || S <- Swapped, {App, _} <- [application_of(S)]])
    end;
asleep(_, _, _, _) -> none.

asleep({App, has_processes}, Upgraded) ->
    Runs = [elixir | [A || {A, _, _} <- application:which_applications()]],
    case lists:member(App, Runs ++ Upgraded) of
        true -> none;
        false -> io_lib:format("it uses ~ts, which does not run here", [App])
    end;
asleep(_, _) -> none.

is_raised_by_language(Reason) when is_tuple(Reason), tuple_size(Reason) > 0 -> is_raised_by_language(element(1, Reason));
is_raised_by_language(Reason) ->
    lists:member(Reason, [
        bad_filter, bad_generator, badarg, badarith, badarity, badfun, badkey, badmap, badmatch, badrecord, case_clause,
        else_clause, function_clause, if_clause, nocatch, notsup, system_limit, timeout_value, try_clause, undef
    ]).

%% The application that a module is of, by the file beside it, and whether it starts processes; none when that cannot be
%% told.
application_of(M) ->
    case code:which(M) of
        File when is_list(File), File =/= [] ->
            try application_in(filename:dirname(File)) catch error:_ -> none end;
        _ -> none
    end.

application_in(Folder) ->
    {ok, Names} = erl_prim_loader:list_dir(Folder),
    [Name] = [Name || Name <- Names, filename:extension(Name) =:= ".app"],
    {ok, Text, _} = erl_prim_loader:get_file(filename:join(Folder, Name)),
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
    {ok, {application, App, Keys}} = erl_parse:parse_term(Tokens),
    {App, case lists:keymember(mod, 1, Keys) of true -> has_processes; false -> has_none end}.

gone({noproc, Call}) -> asks(Call);
gone({timeout, {_, _, _} = Call}) -> asks(Call);
gone({{nodedown, _}, Call}) -> asks(Call);
gone({{noconnection, _}, Call}) -> asks(Call);
gone({aborted, _}) -> "it uses mnesia";
gone({undef, [{undefined, _, _, _} | _]}) -> "it wants a connection";
gone(Reason) when Reason =:= noproc; Reason =:= noconnection; Reason =:= nodedown -> "it asks somebody who is not here";
gone(_) -> none.

asks({_, _, [file_server_2 | _]}) -> "it uses a file";
asks({_, _, [Who | _]}) -> io_lib:format("it asks ~tp, which is not here", [Who]);
asks(_) -> "it asks somebody who is not here".

%% A match that an answer did not: of somebody who is not here, or about what only the node has.
unmatched({Kind, {error, Why}}, Held) when Kind =:= badmatch; Kind =:= case_clause; Kind =:= try_clause ->
    case gone(Why) of
        none when Held =/= [] -> "its state holds what only the node has";
        Gone -> Gone
    end;
unmatched({Kind, {aborted, _} = Why}, _) when Kind =:= badmatch; Kind =:= case_clause -> gone(Why);
unmatched(_, _) -> none.

is_foreign(Term) when is_pid(Term); is_port(Term); is_reference(Term) -> node(Term) =/= node();
is_foreign(Tuple) when is_tuple(Tuple), tuple_size(Tuple) < 4 -> lists:any(fun is_foreign/1, tuple_to_list(Tuple));
is_foreign(_) -> false.
