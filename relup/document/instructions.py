"""Instructions as data: a mapping with exactly one key, OTP's name, over the short form or the fields.

One table serves both directions. A form names the fields of its dataclass and how each is read and written;
defaults are the dataclass' own, and are not written. A plan keeps where each instruction was written, as
`at: file:line:column` among its fields, so that a failure on a node still points into the appup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, get_args

from relup.diagnostics import Location
from relup.document.fields import (
    CALL,
    CHANGE,
    DATA,
    MIGRATIONS,
    NODES,
    STATE_FUNCTION,
    TEXT,
    TEXTS,
    TIMEOUT,
    Codec,
    at,
    choice,
)
from relup.document.piece import Malformed, Piece
from relup.model.instructions import (
    AddApplication,
    AddModule,
    ApplicationType,
    Apply,
    CodeChange,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Stop,
    Suspend,
    Suspension,
    SyncNodes,
    Update,
    Verify,
)


def _by_key(body: Piece, short: str | None) -> dict[str, Piece]:
    if isinstance(body.data, dict):
        return body.fields()
    if short is None and body.data is not None:
        raise Malformed(f"expected a mapping, found {type(body.data).__name__}", body.location)
    return {short: body} if short else {}


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of instruction: its dataclass, its fields, and the field that the short form gives."""

    type: type
    codecs: Mapping[str, Codec]
    short: str | None = None
    gather: Callable[[Piece, str | None], dict[str, Piece]] = _by_key
    always: tuple[str, ...] = ()
    """Fields that are written even when they have their default: a file must have them."""

    def read(self, body: Piece, location: Location | None) -> Any:
        """Build the value from its short form or its fields; raise `Malformed` when the shape is another."""
        given = self.gather(body, self.short)
        if unknown := sorted(given.keys() - self.codecs.keys()):
            raise Malformed(f"unknown key {unknown[0]!r}", location)
        if missing := [n for n, d in _defaults(self.type).items() if d is MISSING and n not in given]:
            raise Malformed(f"missing key {missing[0]!r}", location)
        return self.type(**{k: self.codecs[k].read(p) for k, p in given.items()}, location=location)

    def write(self, value: Any, places: bool) -> Any:
        """Return the short form when it says everything, else the fields that differ from their defaults."""
        shown = [n for n in self.codecs if n in self.always or _differs(value, n)]
        body = {n: self.codecs[n].write(getattr(value, n), places) for n in shown}
        body |= at(value.location, places)
        return body[self.short] if list(body) == [self.short] and self.short else body or None


@cache
def _defaults(cls: type) -> Mapping[str, Any]:
    """Return the default of each field of a dataclass, `MISSING` where it has none."""
    return {f.name: f.default for f in fields(cls)}


def _differs(value: Any, name: str) -> bool:
    default = _defaults(type(value))[name]  # type: ignore[arg-type]  # classes are hashable, which mypy doubts
    return default is MISSING or getattr(value, name) != default


def _read_each(form: Form) -> Callable[[Piece], tuple[Any, ...]]:
    def read(piece: Piece) -> tuple[Any, ...]:
        parts = piece.items() if isinstance(piece.data, list) else [piece]
        return tuple([form.read(p, p.location) for p in parts])

    return read


def _write_each(form: Form) -> Callable[[Any, bool], list[Any]]:
    return lambda values, places: [form.write(v, places) for v in values]


def _call_beside(body: Piece, short: str | None) -> dict[str, Piece]:
    if isinstance(body.data, list):
        return {"call": body}
    return {"call": body} | {k: p for k, p in body.fields().items() if k not in ("module", "function", "args")}


def _one_or_many(body: Piece, short: str | None) -> dict[str, Piece]:
    return {"modules": body} if isinstance(body.data, dict) and "module" in body.data else _by_key(body, short)


def _mode_or_up(body: Piece, short: str | None) -> dict[str, Piece]:
    return {"mode": Piece("up")} | _by_key(body, short)


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────

_PURGES = {k: choice("soft_purge", "brutal_purge") for k in ("pre_purge", "post_purge")}
_MODULE = {"module": TEXT, "depends": TEXTS}
_STATE = {"keep": TEXTS, "instances": MIGRATIONS}
_SUSPENSION = Form(Suspension, {"module": TEXT, "timeout": TIMEOUT}, short="module")
_MODULE_CHANGE = Form(ModuleChange, {"module": TEXT, "extra": DATA, "migrate": STATE_FUNCTION}, short="module")
_SUSPENSIONS = Codec(_read_each(_SUSPENSION), _write_each(_SUSPENSION))
_CHANGES = Codec(_read_each(_MODULE_CHANGE), _write_each(_MODULE_CHANGE))

FORMS: Mapping[str, Form] = {
    "update": Form(
        Update,
        {
            **_MODULE,
            "change": CHANGE,
            "mod_type": choice("dynamic", "static"),
            "timeout": TIMEOUT,
            **_PURGES,
            **_STATE,
            "migrate": STATE_FUNCTION,
        },
        short="module",
    ),
    "load_module": Form(LoadModule, _MODULE | _PURGES | _STATE, short="module"),
    "add_module": Form(AddModule, _MODULE, short="module"),
    "delete_module": Form(DeleteModule, _MODULE, short="module"),
    "add_application": Form(
        AddApplication, {"application": TEXT, "type": choice(*get_args(ApplicationType))}, short="application"
    ),
    "remove_application": Form(RemoveApplication, {"application": TEXT}, short="application"),
    "restart_application": Form(RestartApplication, {"application": TEXT}, short="application"),
    "load_object_code": Form(LoadObjectCode, {"application": TEXT, "vsn": TEXT, "modules": TEXTS}),
    "point_of_no_return": Form(PointOfNoReturn, {}),
    "load": Form(Load, {"module": TEXT, **_PURGES, **_STATE}, short="module"),
    "remove": Form(Remove, {"module": TEXT, **_PURGES}, short="module"),
    "purge": Form(PurgeModules, {"modules": TEXTS}, short="modules"),
    "suspend": Form(Suspend, {"modules": _SUSPENSIONS}, short="modules", gather=_one_or_many),
    "resume": Form(Resume, {"modules": TEXTS}, short="modules"),
    "code_change": Form(
        CodeChange, {"mode": choice("up", "down"), "changes": _CHANGES}, short="changes", gather=_mode_or_up
    ),
    "stop": Form(Stop, {"modules": TEXTS}, short="modules"),
    "start": Form(Start, {"modules": TEXTS}, short="modules"),
    "sync_nodes": Form(SyncNodes, {"id": DATA, "nodes": NODES}, always=("nodes",)),
    "apply": Form(Apply, {"call": CALL, "undo": CALL, "window": choice("cuts", "inside")}, gather=_call_beside),
    "verify": Form(Verify, {"call": CALL, "timeout": TIMEOUT}, gather=_call_beside),
    "restart_new_emulator": Form(RestartNewEmulator, {}),
    "restart_emulator": Form(RestartEmulator, {}),
}
NAMES: Mapping[type, str] = {form.type: name for name, form in FORMS.items()}


def read_instruction(piece: Piece) -> Instruction:
    """Return the instruction that stands here; raise `Malformed` when there is none."""
    name, body = _named(piece)
    if name not in FORMS:
        raise Malformed(f"unknown instruction {name!r}", piece.location)
    location = (body if isinstance(body.data, dict) and "at" in body.data else piece).location
    value: Instruction = FORMS[name].read(body, location)
    return value


def _named(piece: Piece) -> tuple[str, Piece]:
    if isinstance(piece.data, str):
        return str(piece.data), Piece(None)
    if not isinstance(piece.data, dict) or len(piece.data) != 1 or "at" in piece.data:
        raise Malformed("an instruction is a mapping with exactly one key", piece.location)
    ((name, body),) = piece.fields().items()
    return name, body


def write_instruction(instruction: Instruction, *, places: bool) -> Any:
    """Return the instruction as data; `places` keeps where it was written, as `at`."""
    name = NAMES[type(instruction)]
    body = FORMS[name].write(instruction, places)
    if isinstance(instruction, Apply | Verify):
        body = body.pop("call") | body
    return name if body is None else {name: body}
