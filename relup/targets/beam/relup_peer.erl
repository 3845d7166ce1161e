%% What a rehearsal is done in: an Erlang of its own, started from the new release.
%%
%% It is told copies of states, and lets them be changed as the processes of a live node would be let change theirs: by
%% the same functions, called in the same order, with the same code. It is no node and knows none, and none of the
%% release's applications runs in it. So what a code_change asks of others is not answered, and it says so by an error
%% that has nothing to do with the upgrade: those are told apart.
%%
%% relup starts it as its child, asks one thing at a time in frames of terms ({packet,4}), and it ends with relup's pipe.
%% Each code_change has a process of its own, with a limit of time and one of memory.
%%
%%   relup asks      {states, Copies, Modules whose code is exchanged}     {ok, How many}
%%                   {folders, [Folder]}                                   ok
%%                   {environment, [{Application, Key, Was, Is}]}          ok
%%                   {load, [{Module, File, Binary}], [Module that goes]}  {ok, Nanoseconds} | {failed, InWords}
%%                   {change, Module, Vsn, Extra, By, Limit}               {changed, …}, as told/1 has it
%%                   compare                                               {compared, [{Module, Label, Difference}]}
%%   and it says     {ready, OtpRelease}
-module(relup_peer).

-export([main/1]).

-define(BROKEN, 99).  % the exit code of what failed here, and not in a code_change

-record(stage, {
    port,
    %% the folders that this Erlang has its own code from
    own,
    copies = [],
    swapped = []
}).

-include("relup_reasons.hrl").
-include("relup_peer_terms.hrl").
-include("relup_peer_changes.hrl").
-include("relup_peer_absent.hrl").

%% `-s relup_peer main FD PULSE`: the boot goes on when this returns.
main([Fd, _]) ->
    spawn(fun() ->
        try door(list_to_integer(atom_to_list(Fd)))
        catch _:Reason:Stack ->
            io:format(standard_error, "~ts~n", [words({Reason, Stack})]),
            erlang:halt(?BROKEN)
        end
    end).

door(Fd) ->
    process_flag(trap_exit, true),
    ok = os:set_signal(sigterm, default),
    cut_off(),
    Port = open_port({fd, 0, Fd}, [binary, eof, {packet, 4}]),
    frame(Port, {ready, list_to_binary(erlang:system_info(otp_release))}),
    listen(#stage{port = Port, own = code:get_path() -- ["."]}).

%% Nobody here writes files or opens connections, unless by what is lower than OTP's own modules for that.
cut_off() ->
    [supervisor:terminate_child(kernel_sup, Child) || Child <- [file_server_2, inet_db]].

listen(#stage{port = Port} = S) ->
    receive
        {Port, {data, Frame}} ->
            {Answer, Next} = answer(binary_to_term(Frame), S),
            frame(Port, Answer),
            listen(Next);
        {Port, eof} -> erlang:halt(0, [{flush, false}]);
        {'EXIT', Port, _} -> erlang:halt(1, [{flush, false}]);
        _ -> listen(S)
    end.

frame(Port, Term) -> port_command(Port, term_to_binary(Term)).

answer({states, Blob, Modules}, S) ->
    {Environments, Copies} = binary_to_term(Blob),
    [application:set_env(App, Key, Value) || {App, Pairs} <- Environments, {Key, Value} <- Pairs],
    {{ok, length(Copies)}, S#stage{copies = lists:map(fun copy/1, Copies), swapped = Modules}};
answer({folders, Folders}, #stage{own = Own} = S) ->
    code:set_path(Folders ++ Own),
    {ok, S};
answer({environment, Values}, S) ->
    [has(App, Key, Is) || {App, Key, Was, Is} <- Values, value(application:get_env(App, Key)) =:= Was],
    {ok, S};
answer({load, Beams, Gone}, S) -> {loaded(Beams, Gone), S};
answer({change, M, Vsn, Extra, By, Limit}, S) -> changed({M, Vsn, Extra, By}, Limit, S);
answer(compare, #stage{copies = Copies} = S) -> {{compared, lists:append([compared(C) || C <- Copies])}, S}.

value({ok, Value}) -> {Value};
value(undefined) -> {}.

has(App, Key, {Value}) -> application:set_env(App, Key, Value);
has(App, Key, {}) -> application:unset_env(App, Key).

%% Make code current, all modules at once; what takes its time is not the reading.
loaded(Beams, Gone) ->
    [code:purge(M) || M <- [M || {M, _, _} <- Beams] ++ Gone],
    case Beams =:= [] orelse code:prepare_loading(Beams) of
        {error, Reasons} -> {failed, words(Reasons)};
        Prepared ->
            Began = now_ns(),
            Loaded = Beams =:= [] orelse code:finish_loading(element(2, Prepared)),
            [code:delete(M) || M <- Gone],
            case Loaded of {error, Reasons} -> {failed, words(Reasons)}; _ -> {ok, now_ns() - Began} end
    end.

now_ns() -> erlang:monotonic_time(nanosecond).
