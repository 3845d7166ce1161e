"""Terms of files as terms for a node: what an appup writes as `extra`, and the arguments of its calls."""

from __future__ import annotations

from typing import Any, assert_never

from relup.document.erlang import terms as written
from relup.document.erlang.data import from_data
from relup.targets.beam.etf import export
from relup.targets.beam.terms import Atom, Improper, Pairs, Term


def to_node(data: Any) -> Term:
    """Return plain data, as an instruction has it, as a term for a node."""
    return sent(from_data(data))


def sent(term: written.Term) -> Term:
    """Return a term as it is written, as a term for a node."""
    match term:
        case written.Atom("true" | "false" as word):
            return word == "true"
        case written.Atom(name):
            return Atom(name)
        case written.Number(value):
            return value
        case written.String(text):
            return [ord(c) for c in text]
        case written.Binary(data):
            return data
        case written.Tuple(items):
            return tuple(map(sent, items))
        case written.List(items, tail):
            listed = list(map(sent, items))
            return listed if tail is None else Improper(tuple(listed), sent(tail))
        case written.Map(pairs):
            return Pairs(tuple((sent(k), sent(v)) for k, v in pairs))
        case written.Fun(module, function, arity):
            return export(module, function, arity)
        case written.Opaque():
            raise ValueError(f"{term.text} is no term that can be sent")
        case _:
            assert_never(term)
