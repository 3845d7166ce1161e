"""What tests know of a live BEAM node they are told by Erlang itself, on a way that relup has no part in.

An Erlang of its own, hidden and not listening, evaluates expressions on the node and prints what comes of them.
Nothing of it is loaded there; `erl_eval` is the node's own.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SERVER = r"""
Text = fun(T) -> ["\"", [case C of $" -> "\\\""; $\\ -> "\\\\"; _ when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
    _ when C > 126 -> " "; _ -> C end || C <- T], "\""] end,
Json = fun
    J(A) when A =:= true; A =:= false -> atom_to_list(A);
    J(A) when is_atom(A) -> Text(atom_to_list(A));
    J(N) when is_integer(N) -> integer_to_list(N);
    J(F) when is_float(F) -> io_lib:format("~p", [F]);
    J(B) when is_binary(B) -> Text(unicode:characters_to_list(B));
    J(L) when is_list(L), length(L) >= 0 -> ["[", lists:join(",", [J(X) || X <- L]), "]"];
    J(T) when is_tuple(T) -> ["{\"t\":", J(tuple_to_list(T)), "}"];
    J(M) when is_map(M) -> ["{\"m\":", J([[K, V] || {K, V} <- maps:to_list(M)]), "}"];
    J(T) -> Text(io_lib:format("~0p", [T])) end,
Line = fun() -> case io:get_line("") of eof -> halt(); L -> string:trim(L) end end,
Node = list_to_atom(Line()),
Cookie = list_to_atom(Line()),
[_, Host] = string:split(atom_to_list(Node), "@"),
Domain = case lists:member($., Host) of true -> longnames; false -> shortnames end,
Self = list_to_atom("asker" ++ os:getpid() ++ "@" ++ Host),
{ok, _} = net_kernel:start(Self, #{name_domain => Domain, hidden => true, dist_listen => false}),
erlang:set_cookie(Node, Cookie),
Answer = fun(Question) ->
    {ok, Tokens, _} = erl_scan:string(Question),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erpc:call(Node, erl_eval, exprs, [Expressions, []], 20000),
    Json(Value) end,
Serve = fun S() ->
    Question = Line(),
    io:put_chars([try ["{\"ok\":", Answer(Question), "}"]
        catch C:R -> ["{\"error\":", Text(lists:flatten(io_lib:format("~0p", [{C, R}]))), "}"] end, "\n"]),
    S() end,
Serve().
"""

RESTS = {"ERL_ZFLAGS": "+sbwt none +sbwtdcpu none +sbwtdio none"}
"""Lets an Erlang that has nothing to do rest: it would spin for a while, at the cost of the other tests."""
LOADED = """[M || {M, _} <- code:all_loaded(), lists:prefix("relup_", atom_to_list(M))]"""
"""Asks for the modules of relup's that the node has loaded."""
GONE = f"""
    Left = fun() -> {LOADED} ++ [N || N <- registered(), lists:prefix("relup_", atom_to_list(N))] end,
    Wait = fun W(0) -> Left(); W(N) -> case Left() of [] -> []; _ -> receive after 5 -> W(N - 1) end end end,
    Wait(1500)
"""
"""Waits until there are none, and nobody has such a name, as who takes the code away has; asks for those that stay."""
STANDS_BY = """
    Is = fun() -> {_, D} = process_info(whereis(relup_agent), dictionary), lists:keymember(deadline, 1, D) end,
    Wait = fun W(0) -> Is(); W(N) -> Is() orelse receive after 5 -> W(N - 1) end end,
    Wait(1500)
"""
"""Waits until the agent is there for nothing but its deadline; asks whether it is."""


class Asker:
    """One Erlang that asks one node."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, expressions: str) -> Any:
        """Return the value of Erlang *expressions* on the node; fail when they raise.

        Atoms and binaries come as `str`, but for true and false, lists as lists (texts too: use `list_to_binary`),
        tuples as tuples, maps as dicts; a pid, port, reference or fun as it is printed.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{' '.join(expressions.split())}.\n")
        stdin.flush()
        line = stdout.readline()
        assert line, "the Erlang that asks ended; its last words are on stderr"
        answer = json.loads(line)
        assert "ok" in answer, f"{expressions}: {answer['error']}"
        return _value(answer["ok"])


def _value(data: Any) -> Any:
    match data:
        case {"t": items}:
            return tuple(map(_value, items))
        case {"m": pairs}:
            return {_value(k): _value(v) for k, v in pairs}
        case list():
            return [_value(item) for item in data]
        case _:
            return data


@contextmanager
def asker(node: str, cookie: str) -> Iterator[Asker]:
    """Start an Erlang that asks *node*, and end it."""
    # the cookie of nobody: without one, Erlang writes a file for it
    command = ["erl", "-noshell", "-setcookie", "nobody", "-kernel", "logger_level", "none", "-eval", _SERVER]
    environment = {**os.environ, "ERL_CRASH_DUMP_SECONDS": "0", **RESTS}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(f"{node}\n{cookie}\n")
            process.stdin.flush()
            yield Asker(process)
        finally:
            process.kill()
            process.wait()
