"""`.app` files: what an application says of itself (app(4)), with the place of each name.

OTP stops at the first parameter that is wrong, and tells its name only. Here all of them are told with their
places, by OTP's rules: which parameters there must be, that the first of a name counts, that unknown ones do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.erlang.reader import LIMIT, decode, read_terms
from relup.document.erlang.terms import Atom, List, Number, String, Term, Tuple
from relup.document.text import read_bytes
from relup.model.release import Application


class Mention(NamedTuple):
    """A name, and where it is written."""

    name: str
    location: Location


@dataclass(frozen=True, slots=True)
class AppFile:
    """What a `.app` file says; lists are in the order in which they are written."""

    path: Path
    name: str
    vsn: str
    modules: tuple[Mention, ...]
    registered: tuple[Mention, ...]
    applications: tuple[Mention, ...]
    optional: frozenset[str]
    """Those of `applications` that a release may do without."""
    included: tuple[Mention, ...]
    """Applications that it starts itself."""
    location: Location


def read_app_file(path: Path) -> AppFile:
    """Return what the `.app` file at *path* says; raise `InvalidInput` with everything that is wrong with it."""
    file = str(path)
    term = only_term(path)
    match term:
        case Tuple((Atom("application"), Atom(name), List(items, None))):
            parameters = _parameters(items)
        case _:
            message = "expected {application, Name, [{vsn, Vsn}, …]}."
            raise InvalidInput([Diagnostic("badly_formatted_application", message, place(file, term))])
    reader.raise_errors(_bad_parameters(parameters, file, term))
    return AppFile(
        path=path,
        name=name,
        vsn=text_of(parameters["vsn"]) or "",
        modules=_modules(parameters["modules"], file),
        registered=mentions(parameters["registered"], file),
        applications=mentions(parameters["applications"], file),
        optional=frozenset(m.name for m in mentions(parameters.get("optional_applications"), file)),
        included=mentions(parameters.get("included_applications"), file),
        location=place(file, term),
    )


def read_application(path: Path) -> Application:
    """Return the application that the `.app` file at *path* describes, without what only its release knows."""
    app = read_app_file(path)
    return Application(
        app.name,
        app.vsn,
        modules=tuple([m.name for m in app.modules]),
        applications=tuple([m.name for m in app.applications]),
        location=app.location,
    )


def only_term(path: Path) -> Term | None:
    """Return the one term of a file, None when there is none or more; raise `InvalidInput` when it cannot be read."""
    file = str(path)
    terms = read_terms(decode(read_bytes(path, LIMIT), file), file).terms
    return terms[0] if len(terms) == 1 else None


def place(file: str, term: Term | None) -> Location:
    """Return where a term is written."""
    return Location(file, *(term.spot if term and term.spot else (1, 1)))


def text_of(term: Term) -> str | None:
    """Return the text of a string, None for anything else; a list of characters is the same in Erlang."""
    match term:
        case String(text):
            return text
        case List(items, None):
            codes = [n.value if isinstance(n, Number) and isinstance(n.value, int) else -1 for n in items]
            return "".join(map(chr, codes)) if all(0 <= c < 0x110000 for c in codes) else None
        case _:
            return None


def mentions(term: Term | None, file: str) -> tuple[Mention, ...]:
    """Return the names in a list of atoms."""
    items = term.items if isinstance(term, List) else ()
    return tuple([Mention(t.name, place(file, t)) for t in items if isinstance(t, Atom)])


def is_names(term: Term) -> bool:
    """Say whether a term is a list of atoms (OTP's `a_list_p`)."""
    match term:
        case List(items, None):
            return all(isinstance(t, Atom) for t in items)
        case String(text):
            return not text
        case _:
            return False


def _parameters(items: Sequence[Term]) -> Mapping[str, Term]:
    found: dict[str, Term] = {}
    for item in items:
        match item:
            case Tuple((Atom(key), value)):
                found.setdefault(key, value)
            case _:
                pass
    return found


def _modules(term: Term, file: str) -> tuple[Mention, ...]:
    """Return the modules; in old files each may stand with its version, as `{Module, Vsn}`."""
    items = term.items if isinstance(term, List) else ()
    names = [t.items[0] if isinstance(t, Tuple) else t for t in items]
    return mentions(List(tuple(names)), file)


def _is_text(term: Term) -> bool:
    return text_of(term) is not None


def _is_modules(term: Term) -> bool:
    match term:
        case List(items, None):
            return all(isinstance(t, Atom) or _is_pair(t) for t in items)
        case _:
            return is_names(term)


def _is_pair(term: Term) -> bool:
    match term:
        case Tuple((Atom(), _)):
            return True
        case _:
            return False


def _is_pairs(term: Term) -> bool:
    match term:
        case List(items, None):
            return all(map(_is_pair, items))
        case _:
            return is_names(term)


def _is_phases(term: Term) -> bool:
    return term == Atom("undefined") or _is_pairs(term)


def _is_callback(term: Term) -> bool:
    return term == List(()) or _is_pair(term)


def _is_limit(term: Term) -> bool:
    match term:
        case Atom("infinity"):
            return True
        case Number(int(value)):
            return value > 0
        case _:
            return False


_PARAMETERS: Mapping[str, tuple[Callable[[Term], bool], str]] = {
    "vsn": (_is_text, "a string"),
    "id": (_is_text, "a string"),
    "description": (_is_text, "a string"),
    "modules": (_is_modules, "a list of modules"),
    "registered": (is_names, "a list of names"),
    "applications": (is_names, "a list of applications"),
    "optional_applications": (is_names, "a list of applications"),
    "included_applications": (is_names, "a list of applications"),
    "mod": (_is_callback, "{Module, Arguments}"),
    "start_phases": (_is_phases, "a list of {Phase, Arguments}"),
    "env": (_is_pairs, "a list of {Name, Value}"),
    "maxT": (_is_limit, "a number of milliseconds or infinity"),
    "maxP": (_is_limit, "a number of processes or infinity"),
}
_REQUIRED = ("vsn", "description", "modules", "registered", "applications")


def _bad_parameters(parameters: Mapping[str, Term], file: str, term: Term) -> Iterator[Diagnostic]:
    for key, (fits, expected) in _PARAMETERS.items():
        if key in parameters and not fits(parameters[key]):
            yield Diagnostic("bad_param", f"{key}: expected {expected}", place(file, parameters[key]))
    for key in _REQUIRED:
        if key not in parameters:
            yield Diagnostic("missing_param", f"the parameter {key} is missing", place(file, term))
