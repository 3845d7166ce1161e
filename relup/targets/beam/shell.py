"""What somebody asks a node in its own language: an expression, its value as the shell there would show it, its output.

It runs in a process of its own, which prints to whoever asked and not to the node's output.
"""

from __future__ import annotations

from relup.diagnostics import Diagnostic, InvalidInput
from relup.targets.beam.agent import PATIENCE
from relup.targets.beam.asking import evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.terms import Atom, text

_PRINTING = """
    Printer = spawn_link(fun() -> (fun Print(Printed) ->
        receive
            {io_request, From, As, {put_chars, _, Chars}} ->
                From ! {io_reply, As, ok}, Print([Printed, unicode:characters_to_binary(Chars)]);
            {io_request, From, As, {put_chars, _, M, F, Args}} ->
                From ! {io_reply, As, ok}, Print([Printed, unicode:characters_to_binary(apply(M, F, Args))]);
            {io_request, From, As, _} ->
                From ! {io_reply, As, {error, enotsup}}, Print(Printed);
            {printed, Asks} ->
                Asks ! {printed, iolist_to_binary(Printed)}
        end
    end)([]) end),
    group_leader(Printer, self()),
"""
_PRINTED = """
    Printer ! {printed, self()},
    erlang:append_element(Result, receive {printed, Printed} -> Printed after 5000 -> <<>> end).
"""
_ELIXIR = """
    Result = try 'Elixir.Code':eval_string(Source) of {Value, _} -> {ok, 'Elixir.Kernel':inspect(Value)}
    catch Class:Reason:Stack -> {failed, 'Elixir.Exception':format_banner(Class, Reason, Stack)} end,
"""
_ERLANG = """
    Text = string:trim(string:trim(unicode:characters_to_list(Source)), trailing, "."),
    Fail = fun({_, Module, Reason}) -> throw({unread, Module:format_error(Reason)}) end,
    Show = fun(Format, Term) -> unicode:characters_to_binary(io_lib:format(Format, Term)) end,
    Result = try
        Tokens = case erl_scan:string(Text ++ " .") of {ok, Ts, _} -> Ts; {error, Scanned, _} -> Fail(Scanned) end,
        Parsed = case erl_parse:parse_exprs(Tokens) of {ok, Es} -> Es; {error, Read} -> Fail(Read) end,
        {value, Value, _} = erl_eval:exprs(Parsed, []),
        {ok, Show("~tp", [Value])}
    catch
        throw:{unread, Said} -> {failed, Show("~ts", [Said])};
        Class:Reason -> {failed, Show("~ts: ~0tp", [Class, Reason])}
    end,
"""


async def evaluated(bridge: Bridge, source: str) -> tuple[str, str]:
    """Evaluate Elixir where the node has it, else Erlang; return what it printed, and its value as a shell shows it.

    Raises `InvalidInput` with what it raised.
    """
    elixir = await bridge.call("code", "is_loaded", [Atom("Elixir.Code")])
    asked = _PRINTING + (_ELIXIR if elixir else _ERLANG) + _PRINTED
    how, shown, printed = await evaluate(bridge, asked, {"Source": source.encode()}, within=PATIENCE)
    if how != "ok":
        raise InvalidInput([Diagnostic("evaluation_failed", text(shown))])
    return text(printed), text(shown)
