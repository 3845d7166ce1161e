"""The forms of instructions in Erlang (appup(5), relup(5)): one table for both directions.

Each instruction is a tuple whose fields follow its name in a fixed order, and many have shorter forms that leave
fields out. Reading gives exactly the fields that are written, so that a default that somebody wrote is written
again; writing takes the shortest form that says all that is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from typing import Any, NamedTuple

from relup.diagnostics import Diagnostic, Location
from relup.document import instructions
from relup.document.erlang.fields import (
    APPLICATION,
    CALL,
    CHANGE,
    CHANGES,
    DEPENDS,
    ID,
    LIBRARY,
    MOD_TYPE,
    MODE,
    MODULE,
    MODULES,
    NODES,
    POST_PURGE,
    PRE_PURGE,
    SHORT_CHANGE,
    SHORT_DEPENDS,
    SUPERVISOR,
    SUSPENSIONS,
    TIMEOUT,
    TYPE,
    VSN,
    Field,
    Node,
    mapping,
    spot,
    wrong,
)
from relup.document.erlang.flaws import Flaw
from relup.document.erlang.terms import Atom, Term, Tuple
from relup.document.piece import Malformed, Piece, Spot
from relup.document.wording import listed, short, suggestion


class Form(NamedTuple):
    """The forms of one instruction, short ones first."""

    rows: tuple[tuple[Field, ...], ...]
    nested: bool = False
    """Its fields stand in a tuple of their own: `{load, {Module, PrePurge, PostPurge}}`."""


_PURGES = (PRE_PURGE, POST_PURGE)
_CHANGE_AND_REST = (CHANGE, *_PURGES, DEPENDS)

FORMS: Mapping[str, Form] = {
    "update": Form(
        (
            (MODULE,),
            (MODULE, SUPERVISOR),
            (MODULE, SHORT_CHANGE),
            (MODULE, SHORT_DEPENDS),
            (MODULE, SHORT_CHANGE, SHORT_DEPENDS),
            (MODULE, *_CHANGE_AND_REST),
            (MODULE, TIMEOUT, *_CHANGE_AND_REST),
            (MODULE, MOD_TYPE, TIMEOUT, *_CHANGE_AND_REST),
        )
    ),
    "load_module": Form(((MODULE,), (MODULE, SHORT_DEPENDS), (MODULE, *_PURGES, DEPENDS))),
    "add_module": Form(((MODULE,), (MODULE, DEPENDS))),
    "delete_module": Form(((MODULE,), (MODULE, DEPENDS))),
    "add_application": Form(((APPLICATION,), (APPLICATION, TYPE))),
    "remove_application": Form(((APPLICATION,),)),
    "restart_application": Form(((APPLICATION,),)),
    "load_object_code": Form(((LIBRARY, VSN, MODULES),), nested=True),
    "point_of_no_return": Form(((),)),
    "load": Form(((MODULE, *_PURGES),), nested=True),
    "remove": Form(((MODULE, *_PURGES),), nested=True),
    "purge": Form(((MODULES,),)),
    "suspend": Form(((SUSPENSIONS,),)),
    "resume": Form(((MODULES,),)),
    "code_change": Form(((CHANGES,), (MODE, CHANGES))),
    "stop": Form(((MODULES,),)),
    "start": Form(((MODULES,),)),
    "sync_nodes": Form(((ID, NODES),)),
    "apply": Form(((CALL,),)),
    "restart_new_emulator": Form(((),)),
    "restart_emulator": Form(((),)),
}


_AS_SUPERVISOR = {"change": "advanced", "mod_type": "static"}
"""What `{update, Module, supervisor}` is short for; with other fields it has to be said."""


def read_instruction(term: Term, flaws: list[Flaw]) -> Node:
    """Return an instruction as YAML would have it, with its places; what is wrong is told among the flaws."""
    match term:
        case Atom(name) if name in FORMS and () in FORMS[name].rows:
            return name, spot(term)
        case Tuple((Atom(name), *rest)) if name in FORMS:
            for row in FORMS[name].rows:
                if row and (parts := _parts(FORMS[name], row, rest)) is not None:
                    nodes = {field.name: field.read(part, flaws) for field, part in zip(row, parts, strict=True)}
                    return mapping(spot(term), {name: _body(name, nodes, spot(term))})
        case _:
            pass
    flaws.append(_no_instruction(term))
    return None, spot(term)


def _parts(form: Form, row: Sequence[Field], rest: Sequence[Term]) -> Sequence[Term] | None:
    """Return the fields of a tuple, when they are those of a row."""
    if form.nested:
        rest = rest[0].items if len(rest) == 1 and isinstance(rest[0], Tuple) else ()
    fit = len(rest) == len(row) and all(field.fits(part) for field, part in zip(row, rest, strict=True))
    return rest if fit else None


def _body(name: str, nodes: dict[str, Node], at: Spot) -> Node:
    """Return the fields as YAML has them: the short form if that says all, and a call without a name of its own."""
    if list(nodes) in ([instructions.FORMS[name].short], ["call"]):
        return next(iter(nodes.values()))
    return mapping(at, nodes)


def _no_instruction(term: Term) -> Flaw:
    match term:
        case Atom("mnesia_backup"):
            return Flaw("not_yet_implemented", "no release of OTP can do mnesia_backup", spot(term))
        case Tuple((Atom(name), *rest)) if name in FORMS:
            rows = FORMS[name].rows
            length = min((len(row) for row in rows), key=lambda n: abs(n - len(rest)))
            return wrong("bad_instruction", listed(_shown(name, row) for row in rows if len(row) == length), term)
        case Atom(name) if name in FORMS:
            return wrong("bad_instruction", listed(_shown(name, row) for row in FORMS[name].rows[:1]), term)
        case Atom(name) | Tuple((Atom(name), *_)):
            return Flaw("bad_instruction", f"unknown instruction {short(name)!r}{suggestion(name, FORMS)}", spot(term))
        case _:
            return wrong("bad_instruction", "an instruction", term)


def _shown(name: str, row: Sequence[Field]) -> str:
    fields = ", ".join("{module, function, args}" if field is CALL else field.name for field in row)
    return name if not row else f"{{{name}, {{{fields}}}}}" if FORMS[name].nested else f"{{{name}, {fields}}}"


def write_instruction(piece: Piece, told: list[Diagnostic]) -> Term:
    """Return an instruction as Erlang has it; what OTP cannot say is left out, and told."""
    name, body = _named(piece)
    if name == "verify":
        told.append(_no_verify(piece.location or body.location))
        return Atom(name)
    form, given = FORMS[name], _given(name, body)
    where = piece.location or body.location
    data = {key: part.data for key, part in given.items() if any(key == f.name for row in form.rows for f in row)}
    for key in given:
        if key == "migrate":
            told.append(_no_migrate(given[key].location or where))
        elif key not in data:
            message = f"OTP's {name} has no {key!r}; it is left out"
            told.append(Diagnostic("not_in_otp", message, given[key].location or where, severity="warning"))
    if name == "code_change":
        told += [_no_migrate(c.location or where) for c in _each(given["changes"]) if _migrates(c)]
    row = _shortest(form, data)
    if row is None:
        data |= _AS_SUPERVISOR
        row = form.rows[-1]
    try:
        parts = tuple([f.write(data[f.name] if f.name in data else _default(name, f)) for f in row])
    except Malformed as error:
        told.append(Diagnostic("malformed", error.message, error.location or where))
        parts = ()
    if not parts:
        return Atom(name)
    return Tuple((Atom(name), Tuple(parts)) if form.nested else (Atom(name), *parts))


def _each(changes: Piece) -> Sequence[Piece]:
    return tuple(changes.items()) if isinstance(changes.data, list) else (changes,)


def _migrates(change: Piece) -> bool:
    return isinstance(change.data, dict) and "migrate" in change.data


def _no_migrate(where: Location | None) -> Diagnostic:
    """Refuse what would leave states as they are, were it left out."""
    message = "OTP has no `migrate`: only a module's own code_change can change the states of its processes there"
    hint = "apply the upgrade with relup, or give the module a code_change"
    return Diagnostic("not_in_otp", message, where, hint=hint)


def _no_verify(where: Location | None) -> Diagnostic:
    """Refuse what would let through what it is there to find, were it left out."""
    message = "OTP has no `verify`: nothing there asks whether all is well before processes go on"
    hint = "apply the upgrade with relup, or leave it out of the appup that is exported"
    return Diagnostic("not_in_otp", message, where, hint=hint)


def _named(piece: Piece) -> tuple[str, Piece]:
    if isinstance(piece.data, str):
        return str(piece.data), Piece(None)
    ((name, body),) = piece.fields().items()
    return name, body


def _given(name: str, body: Piece) -> dict[str, Piece]:
    """Return the fields that are given, however they are written."""
    form = instructions.FORMS[name]
    given = form.gather(body, form.short)
    if not (isinstance(body.data, dict) and "mode" in body.data):
        given.pop("mode", None)
    return given


def _shortest(form: Form, data: Mapping[str, Any]) -> Sequence[Field] | None:
    """Return the shortest row that says all of *data*."""
    for row in form.rows:
        named = {field.name: field for field in row}
        if data.keys() <= named.keys() and all(named[key].says(data[key]) for key in data):
            return row
    return None


def _default(name: str, field: Field) -> Any:
    """Return the default of a field, as data: the model's, which is OTP's."""
    form = instructions.FORMS[name]
    default = next(f.default for f in fields_of(form.type) if f.name == field.name)
    return form.codecs[field.name].write(default, False)
