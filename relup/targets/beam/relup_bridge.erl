%% The bridge: a hidden node that lends relup the official distribution.
%%
%% relup starts it as its child and talks with it in frames of terms, over a pipe each way ({packet,4}); standard output and
%% standard error stay free, so nothing that is printed can get between two frames. It takes the name that the node
%% gives it, listens to nobody, and starts no connection by itself: a node that went away and came back is another one.
%%
%% Three processes, so that none waits for another: the door reads the pipe, and ends everything at once when its other end
%% is gone; the courier talks with the processes of the node, in the order in which it was told to; the heart passes on
%% what it feels of relup's pulse, which comes over a pipe of its own: it stops when relup is stopped.
%% Each call has a process of its own. Whoever has an answer writes it to the pipe itself. What a process of the node sends
%% to the courier is an event, but for {Reference, _}: that is taken for an answer to a request that was given up.
%%
%%   relup says    {Id, {connect, Node, OwnName, Domain, Cookie}}
%%                 {Id, {call, Module, Function, Arguments}}    erpc:call/4
%%                 {Id, {request, Name, Term}}                  gen_server:call/2: {'$gen_call', From, Term}
%%                 {Id, {heartbeat, Name}}                      {heartbeat, Courier} at each beat of the pulse
%%                 {Id, {send, Name, Term}}                     no answer
%%                 {Id, {read_code, {Module, File, Binary}}}    is this code that Erlang loads? The node is not asked
%%                 {Id, cancel}                                 nobody waits for this one any more; no answer
%%   it answers    {reply, Id, {ok, Term} | {raised, Class, Reason, InWords, Stack} | {gone, Reason, InWords}
%%                             | {failed, Reasons, InWords} | {too_large, Bytes}}
%%   and says      {ready, OtpRelease}, {event, Message}, {nodedown, Node}
-module(relup_bridge).

-export([main/1]).

-define(LARGEST, 16#10000000).   % 256 MB: the largest frame
-define(LARGEST_REASON, 65536).  % a reason may hold the state of a process
-define(WORDS, 400).
-define(STACK, 8000).

%% `-s relup_bridge main FD PULSE`: the boot goes on when this returns.
main([Fd, Pulse]) ->
    spawn(fun() ->
        try door(list_to_integer(atom_to_list(Fd)), list_to_integer(atom_to_list(Pulse)))
        catch _:Reason -> failed(Reason)  % a node without its door would outlive relup
        end
    end).

failed(Reason) ->
    io:format(standard_error, "~ts~n", [words(Reason)]),
    erlang:halt(1).

%% ── the door ──────────────────────────────────────────────────────────────

door(Fd, Pulse) ->
    process_flag(trap_exit, true),
    ok = os:set_signal(sigterm, default),  % an orderly shutdown would look like the end of the node
    _ = code:del_path("."),  % what lies where relup was started is not OTP's
    Port = open_port({fd, 0, Fd}, [binary, eof, {packet, 4}]),
    Key = make_ref(),
    Heart = spawn_opt(fun() -> heart(Pulse) end, [link, {priority, high}]),
    Courier = spawn_link(fun() ->
        courier(#{port => Port, key => Key, node => none, heart => Heart, ids => #{}, refs => #{}})
    end),
    frame(Port, {ready, list_to_binary(erlang:system_info(otp_release))}),
    listen(Port, #{courier => Courier, key => Key, node => none, calls => #{}}).

listen(Port, #{calls := Calls} = State) ->
    receive
        {Port, {data, Frame}} ->
            {Id, What} = binary_to_term(Frame),
            listen(Port, open(What, Id, Port, State));
        {Port, eof} ->
            erlang:halt(0, [{flush, false}]);
        {'DOWN', Ref, process, _, _} ->
            listen(Port, State#{calls := maps:filter(fun(_, {_, R}) -> R =/= Ref end, Calls)});
        {connected, Node} ->
            listen(Port, State#{node := Node});
        {'EXIT', Port, _} ->
            erlang:halt(1, [{flush, false}]);
        {'EXIT', _, normal} ->
            listen(Port, State);
        {'EXIT', _, Reason} ->
            failed(Reason)
    end.

open({connect, Node, OwnName, Domain, Cookie}, Id, Port, #{courier := Courier, key := Key} = State) ->
    Door = self(),
    spawn_link(fun() ->
        case connect(Node, OwnName, Domain, Cookie) of
            ok ->
                Door ! {connected, Node},
                Courier ! {Key, {connected, Id, Node}};
            {failed, Reasons} ->
                reply(Port, Id, {failed, Reasons, words(Reasons)})
        end
    end),
    State;
open({call, Module, Function, Arguments}, Id, Port, #{node := Node, calls := Calls} = State) ->
    Started = spawn_monitor(fun() -> reply(Port, Id, call(Node, Module, Function, Arguments)) end),
    State#{calls := Calls#{Id => Started}};
open({read_code, Code}, Id, Port, #{calls := Calls} = State) ->
    Started = spawn_monitor(fun() -> reply(Port, Id, {ok, read_code(Code)}) end),
    State#{calls := Calls#{Id => Started}};
open(cancel, Id, _, #{calls := Calls} = State) when is_map_key(Id, Calls) ->
    {Pid, _} = maps:get(Id, Calls),
    exit(Pid, kill),
    State;
open(What, Id, _, #{courier := Courier, key := Key} = State) ->
    Courier ! {Key, {What, Id}},
    State.

%% ── connecting ────────────────────────────────────────────────────────────

%% net_kernel says true or false; why is known by what its processes end with.
connect(Node, OwnName, Domain, Cookie) ->
    case erlang:function_exported(net_kernel, start, 2) of
        true -> start(Node, OwnName, Domain, Cookie);
        false -> {failed, [{too_old, list_to_binary(erlang:system_info(otp_release))}]}  % before OTP 24.3
    end.

start(Node, OwnName, Domain, Cookie) ->
    case net_kernel:start(OwnName, #{name_domain => Domain, hidden => true, dist_listen => false}) of
        {ok, _} ->
            erlang:set_cookie(Node, Cookie),
            erlang:trace(new_processes, true, [procs]),
            Connected = net_kernel:hidden_connect_node(Node),
            erlang:trace(all, false, [procs]),
            case Connected of
                true -> ok;
                _ -> {failed, endings([])}
            end;
        {error, Reason} ->
            {failed, [{not_started, shortened(Reason)}]}
    end.

endings(Found) ->
    Ref = erlang:trace_delivered(all),
    endings(Found, Ref).

endings(Found, Ref) ->
    receive
        {trace_delivered, all, Ref} -> lists:usort(Found);
        {trace, _, exit, normal} -> endings(Found, Ref);
        {trace, _, exit, Reason} -> endings([shortened(Reason) | Found], Ref);
        Other when element(1, Other) =:= trace -> endings(Found, Ref)
    end.

%% ── calls ─────────────────────────────────────────────────────────────────

call(Node, Module, Function, Arguments) ->
    try
        {ok, erpc:call(Node, Module, Function, Arguments)}
    catch
        error:{exception, Reason, Stack} -> raised(error, Reason, Stack);
        error:{erpc, noconnection} -> {gone, noconnection, words(noconnection)};
        error:{erpc, Reason} -> raised(erpc, Reason, []);
        exit:{exception, Reason} -> raised(exit, Reason, []);
        exit:{signal, Reason} -> raised(exit, Reason, []);
        throw:Reason -> raised(throw, Reason, []);
        Class:Reason -> raised(Class, Reason, [])
    end.

raised(Class, Reason, Stack) ->
    {raised, Class, shortened(Reason), words(Reason), stack(Class, Reason, Stack)}.

shortened(Reason) ->
    case erlang:external_size(Reason) of
        Size when Size > ?LARGEST_REASON -> {too_large, Size};
        _ -> Reason
    end.

words(Term) ->
    binary(io_lib:format("~0tp", [Term], [{chars_limit, ?WORDS}])).

stack(_, _, []) ->
    <<>>;
stack(Class, Reason, Stack) ->
    Show = fun(Term, _) -> io_lib:format("~0tp", [Term], [{chars_limit, ?WORDS}]) end,
    binary(string:slice(
        try erl_error:format_exception(Class, Reason, Stack, #{format_fun => Show})
        catch _:_ -> Show(Stack, 0)
        end, 0, ?STACK)).

binary(Characters) ->
    case unicode:characters_to_binary(Characters) of
        Binary when is_binary(Binary) -> Binary;
        _ -> <<"(it cannot be printed)">>
    end.

%% What the loader says of code; what it has made of it goes with who asked.
read_code(Code) ->
    case code:prepare_loading([Code]) of
        {ok, _} -> ok;
        {error, [{_, Reason}]} -> Reason
    end.

%% ── the courier ───────────────────────────────────────────────────────────

courier(#{key := Key, refs := Refs, port := Port, node := Node} = State) ->
    receive
        {Key, What} ->
            courier(carry(What, State));
        {Ref, Answer} when is_map_key(Ref, Refs) ->
            erlang:demonitor(Ref, [flush]),
            reply(Port, maps:get(Ref, Refs), {ok, Answer}),
            courier(forget(Ref, State));
        {'DOWN', Ref, process, _, Reason} when is_map_key(Ref, Refs) ->
            reply(Port, maps:get(Ref, Refs), {gone, shortened(Reason), words(Reason)}),
            courier(forget(Ref, State));
        {nodedown, Node} ->
            frame(Port, {nodedown, Node}),
            courier(State);
        {Ref, _} when is_reference(Ref) ->  % the answer to a request that was given up
            courier(State);
        Message ->
            event(Port, Message),
            courier(State)
    end.

carry({connected, Id, Node}, #{port := Port} = State) ->
    monitor_node(Node, true),
    reply(Port, Id, {ok, self()}),
    State#{node := Node};
carry({{send, Name, Term}, _}, #{node := Node} = State) ->
    {Name, Node} ! Term,
    State;
carry({{request, Name, Term}, Id}, #{node := Node, ids := Ids, refs := Refs} = State) ->
    Ref = erlang:monitor(process, {Name, Node}),
    {Name, Node} ! {'$gen_call', {self(), Ref}, Term},
    State#{ids := Ids#{Id => Ref}, refs := Refs#{Ref => Id}};
carry({{heartbeat, Name}, Id}, #{port := Port, node := Node, heart := Heart} = State) ->
    Heart ! {beat_for, {Name, Node}, self()},
    reply(Port, Id, {ok, ok}),
    State;
carry({cancel, Id}, #{ids := Ids} = State) ->
    case Ids of
        #{Id := Ref} ->
            erlang:demonitor(Ref, [flush]),
            forget(Ref, State);
        _ ->
            State
    end.

forget(Ref, #{ids := Ids, refs := Refs} = State) ->
    State#{ids := maps:remove(maps:get(Ref, Refs), Ids), refs := maps:remove(Ref, Refs)}.

%% ── the heart ─────────────────────────────────────────────────────────────

heart(Pulse) ->
    Port = open_port({fd, Pulse, Pulse}, [in, binary, {packet, 4}]),
    feel(Port, fun() -> ok end).

feel(Port, Beat) ->
    receive
        {beat_for, To, Courier} -> feel(Port, fun() -> erlang:send(To, {heartbeat, Courier}, [noconnect]) end);
        {Port, {data, _}} -> Beat(), feel(Port, Beat)
    end.

%% ── frames ────────────────────────────────────────────────────────────────

reply(Port, Id, What) ->
    Frame = term_to_binary({reply, Id, What}),
    case byte_size(Frame) of
        Size when Size > ?LARGEST -> frame(Port, {reply, Id, {too_large, Size}});
        _ -> port_command(Port, Frame)
    end.

event(Port, Message) ->
    Frame = term_to_binary({event, Message}),
    case byte_size(Frame) of
        Size when Size > ?LARGEST -> frame(Port, {event, {too_large, Size}});
        _ -> port_command(Port, Frame)
    end.

frame(Port, Term) ->
    port_command(Port, term_to_binary(Term)).
