"""A real `file:consult`, asked over the pipe of one Erlang that lives as long as the tests need it.

Terms are compared in a form that neither side's text takes part in: JSON with a tag for each type. A text is a list
of numbers there, as it is in Erlang.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relup.document.erlang.terms import Atom, Binary, Fun, List, Map, Number, Opaque, String, Term, Tuple
from tests.support import require_erl

AS_JSON = r"""
Codes = fun(L) -> ["[", lists:join(",", [integer_to_list(C) || C <- L]), "]"] end,
Json = fun
    J(A) when is_atom(A) -> ["{\"a\":", Codes(atom_to_list(A)), "}"];
    J(I) when is_integer(I) -> ["{\"i\":\"", integer_to_list(I, 16), "\"}"];
    J(F) when is_float(F) -> ["{\"f\":", Codes(binary_to_list(<<F/float>>)), "}"];
    J(B) when is_binary(B) -> ["{\"b\":", Codes(binary_to_list(B)), "}"];
    J(B) when is_bitstring(B) -> "{\"bits\":0}";
    J(T) when is_tuple(T) -> ["{\"t\":[", lists:join(",", lists:map(J, tuple_to_list(T))), "]}"];
    J(M) when is_map(M) ->
        ["{\"m\":[", lists:join(",", [["[", J(K), ",", J(V), "]"] || {K, V} <- maps:to_list(M)]), "]}"];
    J(F) when is_function(F) ->
        [M, N, A] = [element(2, erlang:fun_info(F, Part)) || Part <- [module, name, arity]],
        ["{\"u\":[", J(M), ",", J(N), ",", J(A), "]}"];
    J(L) when is_list(L) ->
        Split = fun S([H | T], Seen) -> S(T, [J(H) | Seen]); S(T, Seen) -> {lists:reverse(Seen), T} end,
        {Items, Tail} = Split(L, []),
        ["{\"l\":[", lists:join(",", Items), "]", case Tail of [] -> ""; _ -> [",\"tail\":", J(Tail)] end, "}"] end,
"""
"""Erlang that binds `Json`, a fun that gives a term as JSON."""

_SERVER = (
    AS_JSON
    + r"""
Print = fun(File, Format, Terms) ->
    file:write_file(File, unicode:characters_to_binary([io_lib:format(Format, [T]) || T <- Terms])) end,
Serve = fun S() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            File = string:trim(Line),
            case catch file:consult(File) of
                {ok, Terms} ->
                    Print(File ++ ".p", "~tp.~n", Terms),
                    Print(File ++ ".w", "~w.~n", Terms),
                    io:put_chars(["[", lists:join(",", lists:map(Json, Terms)), "]\n"]);
                _ ->
                    io:put_chars("null\n")
            end,
            S()
    end end,
Serve(),
halt().
"""
)


class Otp:
    """One Erlang that reads files."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.file = folder / "terms"

    def consult(self, text: bytes) -> list[Any] | None:
        """Return the terms that Erlang reads in a file of *text*, None when it refuses it."""
        self.file.write_bytes(text)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{self.file}\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "Erlang ended; its last words are on stderr"
        found = json.loads(answer)
        return None if found is None else [ordered(term) for term in found]

    def printed(self) -> Iterator[str]:
        """Yield what Erlang writes for the terms it read last: with `~tp`, and with `~w`."""
        for how in ("p", "w"):
            yield self.file.with_name(f"terms.{how}").read_text(encoding="utf-8")


def canonical(terms: Sequence[Term]) -> list[Any]:
    """Return terms as `Otp.consult` does."""
    return [ordered(_json(term)) for term in terms]


def _json(term: Term) -> Any:
    match term:
        case Atom(name):
            return {"a": [ord(c) for c in name]}
        case Number(int(value)):
            return {"i": f"{value:X}"}
        case Number(value):
            return {"f": list(struct.pack(">d", value))}
        case String(text):
            return {"l": [{"i": f"{ord(c):X}"} for c in text]}
        case Binary(data):
            return {"b": list(data)}
        case Tuple(items):
            return {"t": [_json(i) for i in items]}
        case List(items, tail):
            return {"l": [_json(i) for i in items]} | ({} if tail is None else {"tail": _json(tail)})
        case Map(pairs):
            return {"m": [[_json(k), _json(v)] for k, v in pairs]}
        case Fun(module, function, arity):
            return {"u": [_json(Atom(module)), _json(Atom(function)), _json(Number(arity))]}
        case Opaque(text):
            return {"o": text}


def ordered(term: Any) -> Any:
    """Return a term with the pairs of its maps in one order."""
    match term:
        case {"m": pairs}:
            return {"m": sorted(([ordered(k), ordered(v)] for k, v in pairs), key=json.dumps)}
        case dict():
            return {tag: ordered(value) for tag, value in term.items()}
        case list():
            return [ordered(item) for item in term]
        case _:
            return term


@contextmanager
def started(folder: Path) -> Iterator[Otp]:
    """Start an Erlang, and end it with its input."""
    require_erl()
    command = ["erl", "-noshell", "-eval", _SERVER]
    environment = {**os.environ, "ERL_CRASH_DUMP_SECONDS": "0"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Otp(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
