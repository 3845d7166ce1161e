"""What the environments of applications are to be in the new release, where that differs from the old one.

OTP's release handler derives the environments anew from `.app` files and `sys.config`, and drops what was set while
the node ran. Here only what differs between the files of both releases is handed over, with the value that it replaces:
one that is not the old file's was set by somebody else (a config provider, the command line, `application:set_env`)
and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.document.erlang.app import only_term
from relup.document.erlang.terms import Atom, List, String, Term, Tuple
from relup.model.release import Release
from relup.targets.beam import terms
from relup.targets.beam.etf import encode
from relup.targets.beam.files import ebin_of
from relup.targets.beam.standing import file_of
from relup.targets.beam.wire import sent

Value: TypeAlias = tuple[tuple[str, str], terms.Term]
"""An application and a key, and what it has there."""
Change: TypeAlias = tuple[terms.Term, terms.Term, terms.Term, terms.Term]
"""An application, a key, and what it was and becomes, each in a tuple of one, or of none."""
Values: TypeAlias = dict[tuple[str, str], terms.Term]


def config_changes(base: Release, goal: Release) -> list[Change]:
    """Return each value that differs: its application, key, and what it was and becomes, `()` for nothing.

    Raises `InvalidInput` when a file cannot be read.
    """
    changing = [a.name for a in goal.applications if (b := base.application(a.name)) and b.vsn != a.vsn]
    before, after = _values(base, changing), _values(goal, changing)
    return [
        (terms.Atom(application), terms.Atom(key), *was_and_is)
        for application, key in sorted({*before, *after})
        if not _same(*(was_and_is := [_maybe(v, (application, key)) for v in (before, after)]))
    ]


def turned(changes: Sequence[Change]) -> list[Change]:
    """Return what takes *changes* back."""
    return [(application, key, now, was) for application, key, was, now in changes]


def provided_otherwise(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Say that a config provider's file differs: it is evaluated when a node boots, and not while it runs."""
    before, after = (_beside(release, "runtime.exs") for release in (base, goal))
    if after.is_file() and (not before.is_file() or before.read_bytes() != after.read_bytes()):
        message = "runtime.exs differs from the one that the node booted with: it takes effect at the next boot"
        yield Diagnostic("runtime_config", message, Location(str(after), 1, 1), severity="note")


def _beside(release: Release, name: str) -> Path:
    return Path(file_of(release)).parent / name


def _values(release: Release, applications: Sequence[str]) -> Values:
    """Return the values of a release: of `sys.config`, and of the `.app` files of these applications."""
    config = _beside(release, "sys.config")
    defaults = chain.from_iterable(_defaults(release, name) for name in applications)
    return dict(chain(defaults, *(_configured(file) for file in _files(config))))


def _defaults(release: Release, name: str) -> Iterator[Value]:
    application = release.application(name)
    ebin = ebin_of(application, release) if application else None
    match only_term(ebin / f"{name}.app") if ebin else None:
        case Tuple((Atom("application"), Atom(_), List(properties, None))):
            for part in properties:
                match part:
                    case Tuple((Atom("env"), List(pairs, None))):
                        yield from _pairs(name, pairs)
        case _:
            pass


def _files(config: Path) -> Iterator[Path]:
    """Yield a `sys.config` and the files that it names, whose values replace its own (config(4))."""
    if config.is_file():
        yield config
        for item in _items(config):
            if isinstance(item, String):
                named = config.parent / item.text, config.parent / f"{item.text}.config"
                yield from (file for file in named if file.is_file())


def _items(path: Path) -> Sequence[Term]:
    term = only_term(path)
    return term.items if isinstance(term, List) else ()


def _configured(path: Path) -> Iterator[Value]:
    for item in _items(path):
        match item:
            case Tuple((Atom(application), List(pairs, None))):
                yield from _pairs(application, pairs)
            case _:
                pass


def _pairs(application: str, pairs: Sequence[Term]) -> Iterator[Value]:
    for pair in pairs:
        match pair:
            case Tuple((Atom(key), value)):
                yield (application, key), sent(value)
            case _:
                pass


def _maybe(values: Values, where: tuple[str, str]) -> terms.Term:
    return (values[where],) if where in values else ()


def _same(before: terms.Term, after: terms.Term) -> bool:
    """Whether two terms are one in Erlang, where 1, 1.0 and true are three."""
    return encode(before) == encode(after)
