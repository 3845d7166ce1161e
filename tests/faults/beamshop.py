"""The shop once more, in Erlang: the same three releases, the same steps, and the same points for faults."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.beam.builds import DEPOT

FAULT = r"""
-module(shop_fault).
-export([start/0, arm/2, mend/0, at/2, at/3, note/2, wait/0]).
%% Where a fault can strike, and what strikes there; known to all releases, and changed by none.

start() ->
    Self = self(),
    spawn(fun() -> register(shop_fault, self()), ets:new(shop_fault, [named_table, public, ordered_set]),
        Self ! begun, receive stop -> ok end end),
    receive begun -> ok end.

arm(Strikes, Controller) ->
    [ets:delete(shop_fault, K) || {K, _} <- ets:tab2list(shop_fault), not is_tuple(K) orelse element(1, K) =/= note],
    Due = [{{due, list_to_binary(P), N, M}, A} || {P, N, M, A} <- Strikes],
    ets:insert(shop_fault, [{number, -1}, {controller, Controller} | Due]),
    ok.

mend() ->
    ets:match_delete(shop_fault, {{loops, '_'}, true}),
    [P ! go || {{waits, P}, _} <- ets:tab2list(shop_fault)], ok.

note(What, There) -> ets:insert(shop_fault, {{note, What}, There}), ok.

%% Both last until the upgrade is over.
wait() -> ets:insert(shop_fault, {{waits, self()}, true}), receive go -> ets:delete(shop_fault, {waits, self()}) end.

loop() -> case ets:member(shop_fault, {loops, self()}) of true -> loop(); false -> ok end.

at(Point, Work) -> at(Point, none, Work).

%% A point is known by its name, and by how often it was reached: processes reach theirs in any order.
at(Point, _Subject, Work) ->
    Name = list_to_binary(Point),
    N = try
        Place = ets:update_counter(shop_fault, number, 1),
        ets:insert(shop_fault, {{seen, Place}, Name}),
        ets:update_counter(shop_fault, {times, Name}, 1, {{times, Name}, -1})
    catch _:_ -> none end,
    case strike(Name, N, before) of {instead, V} -> V; ok ->
        Result = Work(),
        case strike(Name, N, 'after') of {instead, V} -> V; ok -> Result end end.

strike(Name, N, Moment) ->
    case N =/= none andalso ets:take(shop_fault, {due, Name, N, Moment}) of
        [{_, Action}] -> ets:insert(shop_fault, {{struck, N}, Action}), act(Action);
        _ -> ok end.

act(raises) -> error(a_fault);
act(exits) -> exit(a_fault);
act(throws) -> throw(a_fault);
act(returns_junk) -> {instead, junk};
act(returns_error) -> {instead, {error, no}};
act(hangs) -> wait(), ok;
act(endless_loop) -> ets:insert(shop_fault, {{loops, self()}, true}), loop();
act(out_of_memory) ->
    process_flag(max_heap_size, #{size => 100000, kill => true, error_logger => false}), lists:seq(1, 10000000), ok;
act(killed) -> exit(self(), kill), receive never -> ok end;
act(spawn_storm) -> [spawn(fun() -> shop_stock:begin_one(9) end) || _ <- lists:seq(1, 50)], ok;
act(node_killed) -> os:cmd("kill -9 " ++ os:getpid()), receive never -> ok end;
act(node_halts) -> erlang:halt(3, [{flush, false}]);
act(connection_cut) -> [erlang:disconnect_node(N) || N <- nodes(hidden), hd(atom_to_list(N)) =/= $a], ok;
act(controller_killed) ->
    [{_, Pid}] = ets:lookup(shop_fault, controller), os:cmd("kill -9 " ++ integer_to_list(Pid)), ok.
"""
TRAFFIC = r"""
-module(shop_traffic).
-export([start/0, stop/0, view/0]).
%% Numbered messages from several senders to everybody, and one who calls the till and waits.

-define(TO, [shop_s1, shop_s2, shop_s3, shop_till]).

start() ->
    [sys:replace_state(P, fun(S) -> S#{log := [], wrong := []} end) || P <- ?TO],
    Self = self(),
    Pids = [spawn(fun() -> send(Name, 0, []) end) || Name <- [a, b]] ++ [spawn(fun() -> call(0, []) end)],
    ets:insert(shop_fault, {senders, Pids}), Self ! ok, receive ok -> ok end.

send(Name, N, Wrong) ->
    receive {stop, From} -> From ! {self(), Name, N, Wrong}
    after 2 -> [gen_server:cast(P, {m, Name, N + 1}) || P <- ?TO], send(Name, N + 1, Wrong) end.

call(N, Wrong) ->
    receive {stop, From} -> From ! {self(), caller, N, Wrong}
    after 2 ->
        More = try gen_server:call(shop_till, {m, caller, N + 1}, 30000) of {ok, _} -> []
               catch C:R -> [list_to_binary(io_lib:format("a call of the till: ~0p", [{C, R}]))] end,
        call(N + 1, More ++ Wrong) end.

stop() ->
    [{_, Pids}] = ets:lookup(shop_fault, senders),
    [P ! {stop, self()} || P <- Pids],
    Sent = [receive {P, Name, N, Wrong} -> {Name, N, Wrong} end || P <- Pids],
    Log = fun(P, S) -> {P, lists:reverse(maps:get(log, S)), maps:get(wrong, S)} end,
    Logs = [Log(P, S) || P <- ?TO, S <- [catch sys:get_state(P)], is_map(S)],
    {Sent, Logs}.

view() ->
    Named = [N || N <- registered(), lists:prefix("shop_", atom_to_list(N)), N =/= shop_fault],
    {[{M, vsn(M)} || M <- [shop_sup, shop_stock, shop_till, shop_price, shop_ops, shop_fax, shop_audit]],
     [{N, list_to_binary(pid_to_list(whereis(N))), standing(N), state(N)} || N <- lists:sort(Named)],
     [{Id, case P of _ when is_pid(P) -> list_to_binary(pid_to_list(P)); _ -> P end} ||
        {Id, P, _, _} <- supervisor:which_children(shop_sup)],
     list_to_binary(element(2, application:get_key(shop, vsn))),
     [{W, T} || {{note, W}, T} <- ets:tab2list(shop_fault)],
     [{N, P} || {{seen, N}, P} <- ets:tab2list(shop_fault)],
     [N || {{struck, N}, _} <- ets:tab2list(shop_fault)],
     [M || {M, _} <- code:all_loaded(), lists:prefix("relup_", atom_to_list(M))]}.

vsn(M) ->
    case code:is_loaded(M) of false -> none;
        _ -> hd(proplists:get_value(vsn, M:module_info(attributes))) end.

standing(N) -> {status, _, _, [_, S | _]} = sys:get_status(N), S.

state(N) ->
    case sys:get_state(N) of #{log := _} = S -> maps:without([log, wrong], S); _ -> none end.
"""
APP = r"""
-module(shop_app).
-behaviour(application).
-export([start/2, stop/1]).
start(_, _) ->
    shop_fault:start(),
    {ok, Pid} = shop_sup:start_link(),
    io:format("shop runs~n"),
    {ok, Pid}.
stop(_) -> ok.
"""
SUP = r"""
-module(shop_sup).
-vsn(@V).
-behaviour(supervisor).
-export([start_link/0, init/1]).
start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).
init([]) ->
    Stocks = [child(N, shop_stock, I) || {N, I} <- [{shop_s1, 0}, {shop_s2, 1}, {shop_s3, 2}]],
    All = Stocks ++ [child(shop_till, shop_till, 7), child(shop_@O, shop_@O, 0)],
    shop_fault:at("init of sup @V", fun() -> {ok, {#{intensity => 1000, period => 1}, All}} end).
child(Name, Module, Seed) ->
    #{id => Name, start => {Module, start_link, [Name, Seed]}, modules => [Module]}.
"""
PRICE = "-module(shop_price).\n-vsn(@V).\n-export([rate/0]).\nrate() -> @V.\n"
OPS = r"""
-module(shop_ops).
-vsn(@V).
-export([opened/0, closed/0, marked/0, unmarked/0, vsn/0]).
vsn() -> @V.
opened() -> shop_fault:at("call of opened", fun() -> shop_fault:note(ledger, true) end).
closed() -> shop_fault:at("call of closed", fun() -> shop_fault:note(ledger, false) end).
marked() -> shop_fault:at("call of marked", fun() -> shop_fault:note(mark, true) end).
unmarked() -> shop_fault:at("call of unmarked", fun() -> shop_fault:note(mark, false) end).
"""
SERVER = r"""
-module(shop_@M).
-vsn(@V).
-behaviour(gen_server).
-export([start_link/2, begin_one/1, init/1, handle_call/3, handle_cast/2, code_change/3, terminate/2]).
start_link(Name, Seed) -> gen_server:start_link({local, Name}, ?MODULE, {Name, Seed}, []).
begin_one(Seed) -> gen_server:start(?MODULE, {none, Seed}, []).
init({Name, Seed}) ->
    Work = fun() ->
        {ok, maps:merge(#{name => Name, seed => Seed, log => [], wrong => []}, shape(Seed, @V))} end,
    shop_fault:at(["init of ", atom_to_list(Name), " @V"], Work).
handle_cast(Message, #{log := Log} = S) -> {noreply, check(Message, S#{log := [Message | Log]})}.
handle_call(wait, _From, S) -> shop_fault:wait(), {reply, ok, S};
handle_call(Message, _From, S) ->
    @A
    {noreply, New} = handle_cast(Message, S), {reply, {ok, @V}, New}.
check(Message, #{vsn := Vsn, wrong := Wrong} = S) ->
    case Vsn =:= @V @C of true -> S; false -> S#{wrong := [{Message, Vsn, @V} | Wrong]} end.
shape(Seed, 1) -> #{vsn => 1, rows => [Seed, {seed, Seed}]};
shape(Seed, 2) -> #{vsn => 2, rows => #{seed => [Seed]}};
shape(Seed, 3) -> #{vsn => 3, rows => #{seed => [Seed]}, sum => Seed}.
code_change(Old, #{name := Name, seed := Seed} = S, _Extra) ->
    To = case Old of {down, V} -> V; _ -> @V end,
    shop_fault:at(["code_change of ", atom_to_list(Name), " to ", integer_to_list(To)],
        fun() -> {ok, maps:merge(maps:with([name, seed, log, wrong], S), shape(Seed, To))} end).
terminate(_Reason, #{name := Name}) -> shop_fault:at(["terminate of ", atom_to_list(Name), " @V"], fun() -> ok end).
"""
UPDATE = "- update: {{module: shop_{}, change: advanced, timeout: 500{}}}"
APPLY = "- apply: {{module: supervisor, function: {}, args: [shop_sup, shop_{}]}}"
CALL = "- apply: {{module: shop_ops, function: {0}, undo: {{module: shop_ops, function: {1}}}}}"
SUPERVISOR = "- update: {module: shop_sup, change: supervisor}"
FIRST_UP = (
    APPLY.format("terminate_child", "fax"),
    APPLY.format("delete_child", "fax"),
    SUPERVISOR,
    "- add_module: shop_audit",
    UPDATE.format("stock", ", depends: [shop_price]"),
    "- load_module: shop_price",
    "- load_module: shop_ops",
    UPDATE.format("till", ", depends: [shop_stock]"),
    "- delete_module: shop_fax",
    CALL.format("opened", "closed"),
    APPLY.format("restart_child", "audit"),
)
FIRST_DOWN = (
    APPLY.format("terminate_child", "audit"),
    APPLY.format("delete_child", "audit"),
    CALL.format("closed", "opened"),
    UPDATE.format("till", ", depends: [shop_stock]"),
    "- load_module: shop_ops",
    UPDATE.format("stock", ", depends: [shop_price]"),
    "- load_module: shop_price",
    "- add_module: shop_fax",
    SUPERVISOR,
    "- delete_module: shop_audit",
    APPLY.format("restart_child", "fax"),
)
BOTH = (UPDATE.format("stock", ", depends: [shop_price]"), "- load_module: shop_price", "- load_module: shop_ops")
OTHERS = (SUPERVISOR, UPDATE.format("till", ""), UPDATE.format("audit", ""))


def build(folder: Path) -> Mapping[str, Path]:
    """Build the three releases, with Erlang's own tools; return them by vsn."""
    sources = folder / "sources"
    for vsn in ("1", "2", "3"):
        (sources / vsn).mkdir(parents=True)
        for name, text in _files(vsn).items():
            (sources / vsn / name).write_text(text)
    script = (DEPOT / "build.escript").read_text().replace("depot", "shop")
    (sources / "build.escript").write_text(script)
    out = folder / "releases"
    subprocess.run(["escript", sources / "build.escript", out, "1", "2", "3"], check=True, stdout=subprocess.DEVNULL)
    both = (("2", "1", FIRST_UP, FIRST_DOWN),)
    second = (
        "3",
        "2",
        (*BOTH, CALL.format("marked", "unmarked"), *OTHERS),
        (*OTHERS, CALL.format("unmarked", "marked"), *BOTH),
    )
    for vsn, other, up, down in (*both, second):
        (out / vsn / "lib" / f"shop-{vsn}" / "ebin" / "shop.appup.yaml").write_text(_appup(vsn, other, up, down))
    return {vsn: out / vsn for vsn in ("1", "2", "3")}


def _files(vsn: str) -> Mapping[str, str]:
    other = "fax" if vsn == "1" else "audit"
    asks = "{ok, _} = gen_server:call(shop_s1, {m, till, element(3, Message)}, 20000),"
    servers = {
        "stock": _server("stock", vsn, check="andalso shop_price:rate() =:= @V"),
        "till": _server("till", vsn, asks=asks),
        other: _server(other, vsn),
    }
    modules = {"app": APP, "fault": FAULT, "traffic": TRAFFIC, "sup": SUP, "price": PRICE, "ops": OPS, **servers}
    texts = {f"shop_{m}.erl": text.replace("@V", vsn).replace("@O", other).lstrip() for m, text in modules.items()}
    names = ", ".join(f"shop_{m}" for m in modules)
    app = f"""{{application, shop, [{{description, "A shop"}}, {{vsn, "{vsn}"}}, {{modules, [{names}]}},
        {{registered, []}}, {{applications, [kernel, stdlib, sasl]}}, {{mod, {{shop_app, []}}}}]}}.\n"""
    return {**texts, "shop.app": app}


def _server(module: str, vsn: str, *, check: str = "", asks: str = "") -> str:
    return SERVER.replace("@M", module).replace("@C", check).replace("@A", asks).replace("@V", vsn)


def _appup(vsn: str, other: str, up: tuple[str, ...], down: tuple[str, ...]) -> str:
    there, back = ("".join(f"\n      {line}" for line in lines) for lines in (up, down))
    ways = ((f'up:\n  - from: "{other}"', there), (f'down:\n  - to: "{other}"', back))
    return f'application: shop\nvsn: "{vsn}"\n' + "".join(f"{head}\n    instructions:{steps}\n" for head, steps in ways)
