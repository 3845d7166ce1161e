"""`.rel` files: which applications make a release, in which versions (rel(4)), with the place of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.erlang.app import Mention, is_names, mentions, only_term, place, text_of
from relup.document.erlang.terms import Atom, List, Term, Tuple
from relup.model.instructions import ApplicationType

_MANDATORY = ("kernel", "stdlib")


@dataclass(frozen=True, slots=True)
class Line:
    """One application as the `.rel` file lists it."""

    name: str
    vsn: str
    type: ApplicationType
    included: tuple[Mention, ...] | None
    """The applications that it shall include, None for all those that its `.app` file names."""
    location: Location


@dataclass(frozen=True, slots=True)
class RelFile:
    """What a `.rel` file says."""

    name: str
    vsn: str
    erts: str
    lines: tuple[Line, ...]
    location: Location


def read_rel_file(path: Path) -> RelFile:
    """Return what the `.rel` file at *path* says; raise `InvalidInput` with everything that is wrong with it."""
    file, term = str(path), only_term(path)
    match term:
        case Tuple((Atom("release"), Tuple((name, vsn)), Tuple((Atom("erts"), erts)), List(items, None))):
            lines = [_line(t, file) for t in items]
        case _:
            message = 'expected {release, {"name", "vsn"}, {erts, "vsn"}, [{application, "vsn"}, …]}.'
            raise InvalidInput([Diagnostic("badly_formatted_release", message, place(file, term))])
    good = [line for line in lines if isinstance(line, Line)]
    problems = [line for line in lines if isinstance(line, Diagnostic)]
    problems += _not_text("illegal_name", "the name of the release", name, file)
    problems += _not_text("illegal_form", "the version of the release", vsn, file)
    problems += _not_text("illegal_form", "the version of erts", erts, file)
    reader.raise_errors([*problems, *_twice(good), *_bad_mandatory(good, place(file, term))])
    return RelFile(text_of(name) or "", text_of(vsn) or "", text_of(erts) or "", tuple(good), place(file, term))


def _line(term: Term, file: str) -> Line | Diagnostic:
    match term:
        case Tuple((Atom(name), vsn)):
            how: Term = Atom("permanent")
            included: Term | None = None
        case Tuple((Atom(name), vsn, Atom() as how)):
            included = None
        case Tuple((Atom(name), vsn, included)):
            how = Atom("permanent")
        case Tuple((Atom(name), vsn, how, included)):
            pass
        case _:
            return _illegal(term, file)
    type_ = next((t for t in get_args(ApplicationType) if how == Atom(t)), None)
    text = text_of(vsn)
    if text is None or type_ is None or not (included is None or is_names(included)):
        return _illegal(term, file)
    return Line(name, text, type_, None if included is None else mentions(included, file), place(file, term))


def _illegal(term: Term, file: str) -> Diagnostic:
    types = "permanent, transient, temporary, load or none"
    message = f'expected {{application, "vsn"}}, or with a type ({types}) and a list of included applications'
    return Diagnostic("illegal_applications", message, place(file, term))


def _not_text(code: str, what: str, term: Term, file: str) -> Iterator[Diagnostic]:
    if text_of(term) is None:
        yield Diagnostic(code, f"{what} is not a string", place(file, term))


def _twice(lines: Sequence[Line]) -> Iterator[Diagnostic]:
    first: dict[str, Line] = {}
    for line in lines:
        if (other := first.setdefault(line.name, line)) is not line:
            message = f"the application {line.name!r} is listed twice, first in line {other.location.line}"
            yield Diagnostic("duplicate_application", message, line.location)


def _bad_mandatory(lines: Sequence[Line], location: Location) -> Iterator[Diagnostic]:
    for name in _MANDATORY:
        line = next((line for line in lines if line.name == name), None)
        if line is None:
            message = f"no release is without the application {name!r}"
            yield Diagnostic("missing_mandatory_app", message, location)
        elif line.type != "permanent":
            message = f"the application {name!r} must be permanent, it is {line.type}"
            yield Diagnostic("mandatory_app", message, line.location)
