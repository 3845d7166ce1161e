#!/usr/bin/env escript
%% Builds releases of the depot:  escript build.escript OUT [VSN …]
%%
%% OUT/VSN gets the layout of OTP's target systems: its own erts, lib, releases, and bin/depot, which boots the
%% version that releases/start_erl.data names. Nothing but Erlang itself is needed.

-define(OTP, [kernel, stdlib, sasl]).

main([Out]) ->
    main([Out, "1", "2", "3"]);
main([Out | [_ | _] = Vsns]) ->
    Here = filename:dirname(filename:absname(escript:script_name())),
    [build(filename:join(Here, Vsn), filename:absname(filename:join(Out, Vsn)), Vsn) || Vsn <- Vsns];
main([]) ->
    io:format(standard_error, "usage: escript build.escript OUT [VSN …]~n", []),
    halt(2).

build(Source, Root, Vsn) ->
    filelib:is_dir(Source) orelse fail("there is no version ~ts", [Vsn]),
    file:make_dir(filename:dirname(Root)),
    file:make_dir(Root) =:= ok orelse fail("~ts: it is there already, or cannot be made", [Root]),
    Releases = filename:join([Root, "releases", Vsn]),
    compile_depot(Source, filename:join([Root, "lib", "depot-" ++ Vsn, "ebin"])),
    Apps = [{App, copy_library(App, Root)} || App <- ?OTP],
    copy_erts(Root),
    write_release(Root, Releases, "depot", {"depot", Vsn}, Apps ++ [{depot, Vsn}]),
    write_release(Root, Releases, "start_clean", {"start_clean", Vsn}, Apps),
    ok = file:rename(filename:join(Releases, "depot.boot"), filename:join(Releases, "start.boot")),
    ok = file:rename(filename:join(Releases, "depot.script"), filename:join(Releases, "start.script")),
    write_records(Root, Releases, Vsn).

compile_depot(Source, Ebin) ->
    ok = filelib:ensure_path(Ebin),
    [{ok, _} = compile:file(File, [debug_info, deterministic, report, {outdir, Ebin}])
     || File <- filelib:wildcard(filename:join(Source, "*.erl"))],
    [copy(File, Ebin) || File <- filelib:wildcard(filename:join(Source, "*.{app,appup}"))].

copy_library(App, Root) ->
    ok = case application:load(App) of {error, {already_loaded, _}} -> ok; Loaded -> Loaded end,
    {ok, Vsn} = application:get_key(App, vsn),
    Ebin = filename:join([Root, "lib", lists:concat([App, "-", Vsn]), "ebin"]),
    ok = filelib:ensure_path(Ebin),
    [copy(File, Ebin) || File <- filelib:wildcard(filename:join(code:lib_dir(App, ebin), "*"))],
    Vsn.

copy_erts(Root) ->
    Name = "erts-" ++ erlang:system_info(version),
    Bin = filename:join([Root, Name, "bin"]),
    ok = filelib:ensure_path(Bin),
    Programs = filelib:wildcard(filename:join([code:root_dir(), Name, "bin", "*"])),
    [copy(File, Bin) || File <- Programs, not lists:member(filename:basename(File), ["erl", "dyn_erl", "start"])],
    script(filename:join(Bin, "erl"),
           "BINDIR=$(cd \"$(dirname \"$0\")\" && pwd -P)\n"
           "ROOTDIR=$(dirname \"$(dirname \"$BINDIR\")\")\n"
           "EMU=beam PROGNAME=erl\n"
           "export BINDIR ROOTDIR EMU PROGNAME\n"
           "exec \"$BINDIR/erlexec\" \"$@\"\n"),
    script(filename:join([Root, "bin", "depot"]),
           "ROOT=$(cd \"$(dirname \"$0\")/..\" && pwd -P)\n"
           "read -r ERTS VSN < \"$ROOT/releases/start_erl.data\"\n"
           "exec \"$ROOT/erts-$ERTS/bin/erl\" -noinput -boot \"$ROOT/releases/$VSN/start\" \\\n"
           "    -config \"$ROOT/releases/$VSN/sys\" \"$@\"\n").

write_release(Root, Releases, Name, Who, Apps) ->
    ok = filelib:ensure_path(Releases),
    Rel = filename:join(Releases, Name),
    write(Rel ++ ".rel", "~p.~n", [{release, Who, {erts, erlang:system_info(version)}, Apps}]),
    Path = [filename:join([Root, "lib", lists:concat([App, "-", Vsn]), "ebin"]) || {App, Vsn} <- Apps],
    {ok, _, []} = systools:make_script(Rel, [{path, Path}, {outdir, Releases}, silent]).

write_records(Root, Releases, Vsn) ->
    %% start_clean is a program of this release, not a release beside it
    ok = file:delete(filename:join(Releases, "start_clean.rel")),
    write(filename:join(Releases, "sys.config"), "~p.~n", [[{sasl, [{sasl_error_logger, false}]}]]),
    All = filename:dirname(Releases),
    write(filename:join(All, "start_erl.data"), "~s ~s~n", [erlang:system_info(version), Vsn]),
    %% with a root of "" the paths in it are relative: the release may be moved
    ok = file:set_cwd(Root),
    ok = release_handler:create_RELEASES("", All, filename:join(Releases, "depot.rel"), []).

copy(File, Folder) ->
    To = filename:join(Folder, filename:basename(File)),
    {ok, _} = file:copy(File, To),
    {ok, Info} = file:read_file_info(File),
    ok = file:write_file_info(To, Info).

script(File, Text) ->
    ok = filelib:ensure_dir(File),
    write(File, "~s", ["#!/bin/sh\n" ++ Text]),
    ok = file:change_mode(File, 8#755).

write(File, Format, Values) ->
    ok = file:write_file(File, io_lib:format(Format, Values)).

fail(Format, Values) ->
    io:format(standard_error, Format ++ "~n", Values),
    halt(1).
