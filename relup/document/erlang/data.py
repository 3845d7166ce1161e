"""Erlang's data as plain data, and back, without a loss.

YAML and JSON have text where Erlang has atoms, strings and binaries, and lists where it has tuples. Plain text is an
atom here, because that is what Erlang code matches on; everything that plain data lacks is a mapping with one
key that says what it is. A map of atoms is a mapping, unless it would be taken for one of these.

    atom, true, false, 1.5, [a, b]      the same (the atom null is the text "null"; null means that atom too)
    "text"  <<"text">>  <<255>>         {string: text}  {binary: text}  {binary: [255]}
    {a, b}  [a | b]                     {tuple: [a, b]}  {list: [a], tail: b}
    #{a => 1}  #{1 => a}  fun m:f/1     {a: 1}  {map: [[1, a]]}  {fun: [m, f, 1]}
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, assert_never

from relup.document.erlang.terms import (
    MOST_ARGUMENTS,
    Atom,
    Binary,
    Fun,
    List,
    Map,
    Number,
    Opaque,
    String,
    Term,
    Tuple,
)
from relup.document.piece import Malformed, Plain, plain
from relup.document.wording import found

_TAGS = tuple(map(frozenset, (["string"], ["binary"], ["tuple"], ["list", "tail"], ["map"], ["fun"])))


def to_data(term: Term) -> Any:
    """Return a term as plain data; raise `Malformed` for what only a running Erlang has."""
    match term:
        case Atom("true" | "false" as word):
            return word == "true"
        case Atom(name):
            return name
        case Number(value):
            return value
        case String(text):
            return {"string": text}
        case Binary(data):
            return {"binary": _text(data)}
        case Tuple(items):
            return {"tuple": [to_data(i) for i in items]}
        case List(items, tail):
            listed = [to_data(i) for i in items]
            return listed if tail is None else {"list": listed, "tail": to_data(tail)}
        case Map(pairs):
            named = {k.name: to_data(v) for k, v in pairs if isinstance(k, Atom)}
            if len(named) == len(pairs) and named.keys() not in _TAGS:
                return named
            return {"map": [[to_data(k), to_data(v)] for k, v in pairs]}
        case Fun(module, function, arity):
            return {"fun": [module, function, arity]}
        case Opaque(text):
            raise Malformed(f"{text} cannot be written as data", None)
        case _:
            assert_never(term)


def from_data(data: Any) -> Term:
    """Return plain data as a term; raise `Malformed` for what no term is written as."""
    match data:
        case None:
            return Atom("null")
        case bool():
            return Atom(str(data).lower())
        case Plain():
            return from_data(data.number)
        case str():
            return Atom(data)
        case float() if not isfinite(data):
            raise Malformed(f"{data} is no number in Erlang", None)
        case int() | float():
            return Number(data)
        case list() | tuple():
            return List(_each(data))
        case dict() if data.keys() in _TAGS:
            return _tagged(data)
        case dict():
            return Map(tuple([(Atom(str(k)), from_data(v)) for k, v in data.items()]))
        case _:
            raise Malformed(f"{found(data)} has no counterpart in Erlang", None)


def _each(items: Sequence[Any]) -> tuple[Term, ...]:
    return tuple([from_data(i) for i in items])


def _tagged(data: dict[str, Any]) -> Term:
    match data:
        case {"string": str(text)}:
            return String(str(text))
        case {"binary": str(text)}:
            return Binary(text.encode(errors="surrogatepass"))
        case {"binary": [*numbers]} if all(type(b) is int and 0 <= b < 256 for b in plain(numbers)):
            return Binary(bytes(plain(numbers)))
        case {"tuple": [*items]}:
            return Tuple(_each(items))
        case {"list": [_, *_] as items, "tail": tail}:
            match from_data(tail):
                case List(more, end):
                    return List((*_each(items), *more), end)
                case end:
                    return List(_each(items), end)
        case {"map": [*pairs]} if all(isinstance(p, list) and len(p) == 2 for p in pairs):
            return Map(tuple([(from_data(k), from_data(v)) for k, v in pairs]))
        case {"fun": [str(module), str(function), arity]} if (
            type(plain(arity)) is int and 0 <= plain(arity) <= MOST_ARGUMENTS
        ):
            return Fun(str(module), str(function), plain(arity))
        case _:
            tag = " and ".join(data)
            raise Malformed(f"a mapping of {tag} alone says how Erlang data is written, and this is none", None)


def _text(data: bytes) -> str | list[int]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)
