"""The fields of instructions as Erlang writes them: how each kind is read from a term, and written as one.

What is read is data in the shape of YAML, with the places of its parts, so that the checks and the decoder that
YAML has serve Erlang's files too. What does not fit is a flaw under OTP's tag, and the reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from relup.document.erlang.app import text_of
from relup.document.erlang.data import from_data, to_data
from relup.document.erlang.flaws import Flaw
from relup.document.erlang.terms import Atom, List, Number, String, Term, Tuple
from relup.document.erlang.writer import flat
from relup.document.fields import read_call
from relup.document.piece import DEPTH, Malformed, Piece, Place, Spot, plain
from relup.document.wording import listed, short

Node: TypeAlias = tuple[Any, Place | Spot]
"""Data and its place."""
Read: TypeAlias = Callable[[Term, list[Flaw]], Node]

_AROUND = 10
"""How many collections of a document stand around the data of a field, at most."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character: a number in a list of Erlang's, and nothing in a text."""


class Field(NamedTuple):
    """A field of an instruction: its name in YAML, and how it is read and written."""

    name: str
    read: Read
    write: Callable[[Any], Term]
    fits: Callable[[Term], bool] = lambda term: True
    """Whether a term may be meant for it: where OTP has several forms of a length, it looks at kinds."""
    says: Callable[[Any], bool] = lambda data: True
    """Whether it can say some data."""


def spot(term: Term) -> Spot:
    """Return where a term stands; the start of the file when it was never written."""
    return term.spot or (1, 1)


def wrong(code: str, wanted: str, term: Term) -> Flaw:
    """Return the flaw of a term that is something else than what is wanted."""
    return Flaw(code, f"expected {wanted}, found {short(flat(term), 60)}", spot(term))


def mapping(at: Spot, nodes: dict[str, Node]) -> Node:
    """Return nodes by their names, as one node."""
    places = {name: place for name, (_, place) in nodes.items()}
    keys = {name: (place[0], place[1]) for name, place in places.items()}
    return {name: data for name, (data, _) in nodes.items()}, Place(*at, places, keys)


def sequence(term: Term, read: Read, flaws: list[Flaw], *, code: str = "bad_list", wanted: str = "a list") -> Node:
    """Return the items of a list, each as *read* makes it."""
    items = _items(term)
    if items is None:
        flaws.append(wrong(code, wanted, term))
        return None, spot(term)
    nodes = [read(item, flaws) for item in items]
    return [data for data, _ in nodes], Place(*spot(term), [place for _, place in nodes])


def _items(term: Term) -> Sequence[Term] | None:
    match term:
        case List(items, None):
            return items
        case String(characters):
            return [Number(ord(c), spot=spot(term)) for c in characters]
        case _:
            return None


# ── names and words ────────────────────────────────────────────────────────────────────────────────────


def _name(code: str, wanted: str) -> Read:
    def read(term: Term, flaws: list[Flaw]) -> Node:
        if not isinstance(term, Atom):
            flaws.append(wrong(code, wanted, term))
            return None, spot(term)
        return term.name, spot(term)

    return read


def _choice(code: str, *words: str) -> Read:
    def read(term: Term, flaws: list[Flaw]) -> Node:
        if not (isinstance(term, Atom) and term.name in words):
            flaws.append(wrong(code, listed(words), term))
        return term.name if isinstance(term, Atom) else None, spot(term)

    return read


def _list_of(read: Read) -> Read:
    return lambda term, flaws: sequence(term, read, flaws)


def _atom(data: Any) -> Atom:
    return Atom(str(data))


def _list(write: Callable[[Any], Term]) -> Callable[[Any], Term]:
    """Write a list; one item alone is a list of one."""
    return lambda data: List(tuple([write(d) for d in (data if isinstance(data, list) else [data])]))


def _is_list(term: Term) -> bool:
    return isinstance(term, List | String)


_module = _name("bad_module", "the name of a module")

MODULE = Field("module", _module, _atom)
MODULES = Field("modules", _list_of(_module), _list(_atom))
DEPENDS = Field("depends", _list_of(_module), _list(_atom))
SHORT_DEPENDS = DEPENDS._replace(fits=_is_list)
APPLICATION = Field("application", _name("bad_application", "the name of an application"), _atom)
LIBRARY = Field("application", _name("bad_lib", "the name of an application"), _atom)
PRE_PURGE = Field("pre_purge", _choice("bad_purge_method", "soft_purge", "brutal_purge"), _atom)
POST_PURGE = PRE_PURGE._replace(name="post_purge")
MOD_TYPE = Field("mod_type", _choice("bad_mod_type", "static", "dynamic"), _atom)
MODE = Field("mode", _choice("bad_mode", "up", "down"), _atom)
TYPE = Field("type", _choice("bad_start_type", "permanent", "transient", "temporary", "load", "none"), _atom)


# ── numbers, texts and free data ───────────────────────────────────────────────────────────────────────


def _read_timeout(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Atom("default" | "infinity" as word):
            return word, spot(term)
        case Number(int(milliseconds)) if milliseconds > 0:
            return milliseconds, spot(term)
        case _:
            flaws.append(wrong("bad_timeout", "milliseconds above 0, default or infinity", term))
            return None, spot(term)


def _write_timeout(data: Any) -> Term:
    if plain(data) == 0:
        raise Malformed("OTP takes milliseconds above 0, default or infinity for a timeout, found 0", None)
    return from_data(data)


def text(term: Term) -> str | None:
    """Return the text that a term says; None when it says none, or one that no document can hold."""
    found = text_of(term)
    return None if found is None or _HALF.search(found) else found


def _read_vsn(term: Term, flaws: list[Flaw]) -> Node:
    if (vsn := text(term)) is None:
        flaws.append(wrong("bad_lib_vsn", "a version", term))
    return vsn, spot(term)


def _read_data(term: Term, flaws: list[Flaw]) -> Node:
    data = to_data(term)
    if not _shallow(data, DEPTH - _AROUND):
        flaws.append(Flaw("too_deep", "in YAML, this would be nested too deep", spot(term)))
    return data, spot(term)


def _shallow(data: Any, depth: int) -> bool:
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return depth > 0 and all(_shallow(part, depth - 1) for part in parts)


TIMEOUT = Field("timeout", _read_timeout, _write_timeout)
VSN = Field("vsn", _read_vsn, lambda data: String(str(data)))
ID = Field("id", _read_data, from_data)


# ── what is made of others ─────────────────────────────────────────────────────────────────────────────


def _read_change(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Atom("soft"):
            return "soft", spot(term)
        case Tuple((Atom("advanced"), List((), None) | String(""))):
            return "advanced", spot(term)
        case Tuple((Atom("advanced"), extra)):
            return mapping(spot(term), {"advanced": _read_data(extra, flaws)})
        case _:
            flaws.append(wrong("bad_change", "soft or {advanced, Extra}", term))
            return None, spot(term)


def _write_change(data: Any) -> Term:
    match data:
        case {"advanced": extra}:
            return Tuple((Atom("advanced"), _extra(extra)))
        case "advanced":
            return Tuple((Atom("advanced"), List(())))
        case _:
            return _atom(data)


def _extra(data: Any) -> Term:
    """Return what a process is told; nothing is the empty list, as in every appup that has nothing to tell."""
    return List(()) if data is None else from_data(data)


def _read_suspension(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((module, timeout)):
            return mapping(spot(term), {"module": _module(module, flaws), "timeout": _read_timeout(timeout, flaws)})
        case _:
            return _module(term, flaws)


def _write_suspension(data: Any) -> Term:
    match data:
        case {"module": module, "timeout": timeout}:
            return Tuple((_atom(module), _write_timeout(timeout)))
        case {"module": module}:
            return _atom(module)
        case _:
            return _atom(data)


def _read_module_change(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((module, List((), None) | String(""))):
            return _module(module, flaws)
        case Tuple((module, extra)):
            return mapping(spot(term), {"module": _module(module, flaws), "extra": _read_data(extra, flaws)})
        case _:
            flaws.append(wrong("bad_code_change", "{Module, Extra}", term))
            return None, spot(term)


def _write_module_change(data: Any) -> Term:
    match data:
        case {"module": module}:
            return Tuple((_atom(module), _extra(data.get("extra"))))
        case _:
            return Tuple((_atom(data), List(())))


def _read_call(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((module, function, args)):
            nodes = {
                "module": _module(module, flaws),
                "function": _name("bad_func", "the name of a function")(function, flaws),
            }
            given = sequence(args, _read_data, flaws, code="bad_args_list", wanted="a list of arguments")
            return mapping(spot(term), nodes | ({"args": given} if given[0] else {}))
        case _:
            raise AssertionError("a call has three parts; `fits` sees to it")


def _write_call(data: Any) -> Term:
    call = read_call(Piece(data))
    return Tuple((Atom(call.module), Atom(call.function), List(tuple([from_data(a) for a in call.args]))))


def _is_call(term: Term) -> bool:
    return isinstance(term, Tuple) and len(term.items) == 3


def _read_nodes(term: Term, flaws: list[Flaw]) -> Node:
    if _is_call(term):
        return _read_call(term, flaws)
    return sequence(term, _name("bad_node", "the name of a node"), flaws)


def _write_nodes(data: Any) -> Term:
    return _write_call(data) if isinstance(data, dict) else _list(_atom)(data)


CHANGE = Field("change", _read_change, _write_change, says=lambda data: data != "supervisor")
SHORT_CHANGE = CHANGE._replace(fits=lambda term: isinstance(term, Tuple) or term == Atom("soft"))
SUPERVISOR = Field(
    "change",
    _choice("bad_change", "supervisor"),
    _atom,
    fits=lambda term: term == Atom("supervisor"),
    says=lambda data: data == "supervisor",
)
SUSPENSIONS = Field("modules", _list_of(_read_suspension), _list(_write_suspension))
CHANGES = Field("changes", _list_of(_read_module_change), _list(_write_module_change))
CALL = Field("call", _read_call, _write_call, fits=_is_call)
NODES = Field("nodes", _read_nodes, _write_nodes)
