"""A release of Erlang in two versions, compiled once: with what every kind of module changes in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.document.erlang.releases import app, build, erl, rel

OLD: Mapping[str, str] = {
    "shop_app": """
-behaviour(application).
-export([start/2, stop/1]).
start(_, _) -> shop_sup:start_link().
stop(_) -> ok.
""",
    "shop_sup": """
-behaviour(supervisor).
-export([start_link/0, init/1]).
start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).
init([]) -> {ok, {#{}, [#{id => cart, start => {shop_cart, start_link, []}}]}}.
""",
    "shop_cart": """
-behaviour(gen_server).
-export([start_link/0, init/1, handle_call/3, handle_cast/2]).
-record(state, {items, total}).
start_link() -> gen_server:start_link(?MODULE, [], []).
init([]) -> {ok, #state{items = shop_old:items(), total = 0}}.
handle_call(_, _, S) -> {reply, shop_format:total(S#state.total), S}.
handle_cast(_, S) -> {noreply, S}.
""",
    "shop_till": """
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).
init([]) -> {ok, #{sum => 0}}.
handle_call(_, _, S) -> {reply, 1, S}.
handle_cast(_, S) -> {noreply, S}.
""",
    "shop_bell": """
-behaviour(gen_server).
-vsn(bell_1).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).
init([]) -> {ok, fresh()}.
fresh() -> [].
handle_call(_, _, S) -> {reply, 1, S}.
handle_cast(_, S) -> {noreply, S}.
code_change({down, _}, S, _) -> {ok, tl(S)};
code_change(_, S, _) -> {ok, [1 | S]}.
""",
    "shop_door": """
-behaviour(gen_statem).
-export([init/1, callback_mode/0, handle_event/4]).
callback_mode() -> handle_event_function.
init([]) -> {ok, shut, #{}}.
handle_event(_, _, _, _) -> keep_state_and_data.
""",
    "shop_log": """
-behaviour(gen_event).
-export([init/1, handle_event/2, handle_call/2, code_change/3]).
init([]) -> {ok, 0}.
handle_event(_, S) -> {ok, S}.
handle_call(_, S) -> {ok, ok, S}.
code_change(_, S, _) -> {ok, S}.
""",
    "shop_loop": """
-export([start_link/0, init/1, system_continue/3, system_terminate/4, system_code_change/4]).
start_link() -> proc_lib:start_link(?MODULE, init, [self()]).
init(Parent) -> proc_lib:init_ack({ok, self()}), loop(Parent, 0).
loop(Parent, S) -> receive {system, F, R} -> sys:handle_system_msg(R, F, Parent, ?MODULE, [], S) end.
system_continue(Parent, _, S) -> loop(Parent, S).
system_terminate(R, _, _, _) -> exit(R).
system_code_change(S, _, _, _) -> {ok, S}.
""",
    "shop_format": "-export([total/1]).\ntotal(N) -> integer_to_list(N).\n",
    "shop_old": "-export([items/0]).\nitems() -> [].\n",
    "shop_same": "-export([f/0]).\nf() -> 1.\n",
}

_CHANGED: Mapping[str, tuple[str, str]] = {
    "shop_app": ("shop_sup:start_link()", "begin shop_new:go(), shop_sup:start_link() end"),
    "shop_sup": ("start_link, []}}]", "start_link, []}}, #{id => new, start => {shop_new, start_link, []}}]"),
    "shop_till": ("{reply, 1, S}", "{reply, 2, S}"),
    "shop_bell": ("fresh() -> []", "fresh() -> [a]"),
    "shop_door": ("shut, #{}", "open, #{}"),
    "shop_log": ("{ok, ok, S}", "{ok, no, S}"),
    "shop_loop": ("loop(Parent, 0)", "loop(Parent, {0})"),
    "shop_format": ("integer_to_list(N)", "[$# | integer_to_list(N)]"),
}

NEW: Mapping[str, str] = {
    **{m: t.replace(*_CHANGED.get(m, ("", ""))) for m, t in OLD.items() if m not in ("shop_old", "shop_cart")},
    "shop_cart": OLD["shop_cart"]
    .replace("{items, total}", "{items, total, tax = 0}")
    .replace("shop_old:items()", "[]"),
    "shop_new": "-export([go/0]).\ngo() -> ok.\n",
}

SYSTEM: Mapping[str, tuple[str, str]] = {"kernel": ("8.5", "[]"), "stdlib": ("4.2", "[kernel]"), "sasl": ("4.2", "[]")}

_COMPILE = r"""
Compile = fun(Vsn) ->
    Ebin = "lib/shop-" ++ Vsn ++ "/ebin",
    [{ok, _} = compile:file(F, [{outdir, Ebin}, debug_info]) || F <- filelib:wildcard(Vsn ++ "/*.erl")],
    [{ok, _} = beam_lib:strip(F) || F <- filelib:wildcard(Ebin ++ "/*.beam"), STRIPPED]
end,
[Compile(Vsn) || Vsn <- ["1", "2"]],
halt().
"""


def write_shop(root: Path, *, stripped: bool, old: Mapping[str, str] = OLD, new: Mapping[str, str] = NEW) -> list[Path]:
    """Write and compile both versions in *root*; return their `.rel` files, which share one folder of libraries."""
    files = {f"lib/{name}-{vsn}/ebin/{name}.app": app(name, vsn, needs=needs) for name, (vsn, needs) in SYSTEM.items()}
    for vsn, modules in (("1", old), ("2", new)):
        files |= {f"{vsn}/{m}.erl": f"-module({m}).\n{text}" for m, text in modules.items()}
        files[f"lib/shop-{vsn}/ebin/shop.app"] = app("shop", vsn, f"[{','.join(sorted(modules))}]")
        lines = (f'{{{name},"{v}"}}' for name, (v, _) in SYSTEM.items())
        files[f"releases/{vsn}/shop.rel"] = rel(*lines, f'{{shop,"{vsn}"}}', vsn=vsn, erts="13.1")
    erl(_COMPILE.replace("STRIPPED", "true" if stripped else "false"), build(root, files))
    return [root / "releases" / vsn / "shop.rel" for vsn in ("1", "2")]
