"""The fields of instructions as data: how each kind is read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from relup.diagnostics import Location
from relup.document.piece import Malformed, Piece, plain
from relup.model.instructions import (
    Advanced,
    Call,
    Change,
    Migration,
    Soft,
    StateFunction,
    SupervisorChange,
    Timeout,
)


class Codec(NamedTuple):
    """How one field is read and written; `write` is told whether places are kept."""

    read: Callable[[Piece], Any]
    write: Callable[[Any, bool], Any]


def at(location: Location | None, places: bool) -> dict[str, str]:
    """Return the `at` of a value, when places are kept and it has one."""
    return {"at": str(location)} if places and location else {}


def _read_timeout(piece: Piece) -> Timeout:
    match plain(piece.data):
        case bool():
            raise Malformed("expected milliseconds, found true or false", piece.location)
        case int(milliseconds):
            return milliseconds
        case "default":
            return "default"
        case "infinity":
            return "infinity"
        case other:
            raise Malformed(f"expected milliseconds, default or infinity, found {str(other)[:60]!r}", piece.location)


def _read_change(piece: Piece) -> Change:
    match piece.data:
        case "soft":
            return Soft()
        case "advanced":
            return Advanced()
        case "supervisor":
            return SupervisorChange()
        case {"advanced": extra}:
            return Advanced(plain(extra))
        case other:
            raise Malformed(f"expected soft, advanced or supervisor, found {str(other)[:60]!r}", piece.location)


def _write_change(change: Change, places: bool) -> Any:
    match change:
        case Soft():
            return "soft"
        case Advanced(None):
            return "advanced"
        case Advanced(extra):
            return {"advanced": extra}
        case SupervisorChange():
            return "supervisor"


def read_call(piece: Piece) -> Call:
    """Return a call from `[module, function, [args]]` or from its fields."""
    if isinstance(piece.data, list):
        given = dict(zip(("module", "function", "args"), piece.items(), strict=False))
    else:
        given = piece.fields()
    if missing := {"module", "function"} - given.keys():
        raise Malformed(f"missing key {min(missing)!r}", piece.location)
    args = tuple([p.value() for p in given["args"].items()]) if "args" in given else ()
    return Call(given["module"].text(), given["function"].text(), args)


def write_call(call: Call, places: bool = False) -> dict[str, Any]:
    """Return a call as its fields; it has no place of its own."""
    body: dict[str, Any] = {"module": call.module, "function": call.function}
    return body | ({"args": list(call.args)} if call.args else {})


def _read_nodes(piece: Piece) -> tuple[str, ...] | Call:
    return read_call(piece) if isinstance(piece.data, dict) else piece.texts()


def _write_nodes(nodes: tuple[str, ...] | Call, places: bool) -> Any:
    return write_call(nodes) if isinstance(nodes, Call) else list(nodes)


def _read_migrations(piece: Piece) -> tuple[Migration, ...]:
    return tuple([Migration(cls, function.text()) for cls, function in piece.entries().items()])


def _write_migrations(migrations: tuple[Migration, ...], places: bool) -> dict[str, str]:
    return {m.cls: m.function for m in migrations}


def _read_state_function(piece: Piece) -> StateFunction:
    fields = piece.required("module", "function")
    if unknown := sorted(fields.keys() - {"module", "function"}):
        raise Malformed(f"unknown key {unknown[0]!r}", piece.location)
    return StateFunction(fields["module"].text(), fields["function"].text())


def _write_state_function(found: StateFunction, places: bool) -> dict[str, str]:
    return {"module": found.module, "function": found.function}


def choice(*words: str) -> Codec:
    """Return the codec of a text that is one of *words*."""
    return Codec(lambda piece: piece.choice(*words), lambda word, places: word)


TEXT = Codec(Piece.text, lambda text, places: text)
TEXTS = Codec(Piece.texts, lambda texts, places: list(texts))
DATA = Codec(Piece.value, lambda data, places: data)
TIMEOUT = Codec(_read_timeout, lambda timeout, places: timeout)
CHANGE = Codec(_read_change, _write_change)
CALL = Codec(read_call, write_call)
MIGRATIONS = Codec(_read_migrations, _write_migrations)
STATE_FUNCTION = Codec(_read_state_function, _write_state_function)
NODES = Codec(_read_nodes, _write_nodes)
