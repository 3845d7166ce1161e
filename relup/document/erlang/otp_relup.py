"""OTP's `relup` files (relup(5)): what `systools:make_relup` writes and `release_handler` applies.

The scripts in them are low-level. They are read and written by the forms that appups have, so that a file of OTP's
own is the same terms again when it has been read and written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from relup.diagnostics import Diagnostic, InvalidInput
from relup.document import instructions, reader
from relup.document.erlang.app import only_term, place, text_of
from relup.document.erlang.fields import Node, mapping, sequence, spot, wrong
from relup.document.erlang.flaws import Flaw
from relup.document.erlang.forms import read_instruction, write_instruction
from relup.document.erlang.terms import Atom, List, String, Term, Tuple
from relup.document.erlang.writer import write_terms
from relup.document.piece import Piece
from relup.model.instructions import HighLevel, LowLevel
from relup.model.otp_relup import OtpRelup, OtpScript

_BAD = "bad_relup_file"
_HIGH_LEVEL = frozenset(instructions.NAMES[t] for t in get_args(HighLevel))


def read_otp_relup(path: str | Path) -> OtpRelup:
    """Return OTP's relup file at *path*; raise `InvalidInput` with everything that is wrong with it."""
    file, term, flaws = str(path), only_term(Path(path)), list[Flaw]()
    match term:
        case Tuple((vsn, up, down)):
            scripts = {d: sequence(t, _read_script, flaws, code=_BAD) for d, t in (("up", up), ("down", down))}
            data, found = mapping(spot(term), {"vsn": _read_text(vsn, flaws)} | scripts)
        case _:
            message = 'expected {"vsn", [{"from", Description, Script}, …], [{"to", Description, Script}, …]}.'
            raise InvalidInput([Diagnostic(_BAD, message, place(file, term))])
    reader.raise_errors(flaw.diagnostic(file) for flaw in flaws)
    return reader.decoded(Piece(data, file, found), _decode)


def write_otp_relup(relup: OtpRelup) -> str:
    """Return the text of a relup file; what OTP cannot say is left out, and `not_in_otp` finds it."""
    up, down = (List(tuple([_script_term(s) for s in scripts])) for scripts in (relup.up, relup.down))
    text = write_terms([Tuple((String(relup.vsn), up, down))])
    return text if text.startswith("%% coding") else f"%% coding: utf-8\n{text}"


def not_in_otp(relup: OtpRelup) -> Iterator[Diagnostic]:
    """Yield what OTP's file cannot say: how a call is taken back, whether it cuts the window (warnings), `migrate`."""
    for script in (*relup.up, *relup.down):
        for instruction in script.instructions:
            _, told = _term(instruction)
            yield from (replace(d, location=d.location or instruction.location) for d in told)


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────


def _read_script(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((vsn, description, script)):
            texts = {"vsn": _read_text(vsn, flaws), "description": _read_text(description, flaws)}
            return mapping(spot(term), texts | {"script": sequence(script, _read_low_level, flaws, code=_BAD)})
        case _:
            flaws.append(wrong(_BAD, "{Vsn, Description, Script}", term))
            return None, spot(term)


def _read_text(term: Term, flaws: list[Flaw]) -> Node:
    if (text := text_of(term)) is None:
        flaws.append(wrong(_BAD, "a string", term))
    return text, spot(term)


def _read_low_level(term: Term, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((Atom(name), *_)) if name in _HIGH_LEVEL:
            message = f"a relup file has low-level instructions only, {name} is for appups"
            flaws.append(Flaw("bad_instruction", message, spot(term)))
            return None, spot(term)
        case _:
            return read_instruction(term, flaws)


def _decode(piece: Piece) -> OtpRelup:
    fields = piece.fields()
    up, down = (tuple([_decode_script(p) for p in fields[d].items()]) for d in ("up", "down"))
    return OtpRelup(fields["vsn"].text(), up, down, piece.location)


def _decode_script(piece: Piece) -> OtpScript:
    fields = piece.fields()
    found = [instructions.read_instruction(p) for p in fields["script"].items()]
    low = tuple([i for i in found if not isinstance(i, HighLevel)])
    return OtpScript(fields["vsn"].text(), fields["description"].text(), low, location=piece.location)


# ── writing ────────────────────────────────────────────────────────────────────────────────────────────


def _script_term(script: OtpScript) -> Term:
    description = String(script.description) if script.description else List(())
    steps = List(tuple([_term(i)[0] for i in script.instructions]))
    return Tuple((String(script.vsn), description, steps))


def _term(instruction: LowLevel) -> tuple[Term, list[Diagnostic]]:
    told: list[Diagnostic] = []
    piece = Piece(instructions.write_instruction(instruction, places=True))
    return reader.decoded(piece, lambda p: write_instruction(p, told)), told
