"""`releases/RELEASES`: what OTP's release handler knows of the releases of a node (release_handler(3)).

OTP writes over it in place. Here it is replaced in one step, by one that differs in what an upgrade changes: the
release that is permanent now, and the one that was. A node without the file (mix makes none) needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relup.document.erlang.app import only_term
from relup.document.erlang.terms import Atom, List, String, Term, Tuple
from relup.document.erlang.writer import write_terms
from relup.model.release import Release
from relup.targets.durable import replace_file


def note_permanent(root: Path, goal: Release) -> None:
    """Let the file in the folder *root* of a node's release say that *goal* is permanent.

    Raises `InvalidInput` when it cannot be read, `OSError` when it cannot be replaced.
    """
    path = root / "releases" / "RELEASES"
    if not path.is_file():
        return
    known = only_term(path)
    releases = known.items if isinstance(known, List) else ()
    entry = _entry(root, goal, absolute=any(_is_absolute(r) for r in releases))
    text = write_terms([List((entry, *_others(releases, goal)))])
    replace_file(path, f"%% coding: utf-8\n{text}".encode())


def _entry(root: Path, goal: Release, *, absolute: bool) -> Term:
    within = f"{root}/lib" if absolute else "lib"
    libraries = [Tuple((Atom(a.name), String(a.vsn), String(f"{within}/{a.name}-{a.vsn}"))) for a in goal.applications]
    return Tuple(
        (
            Atom("release"),
            String(goal.name),
            String(goal.vsn),
            String(goal.erts or ""),
            List(tuple(libraries)),
            Atom("permanent"),
        )
    )


def _others(releases: Sequence[Term], goal: Release) -> Iterator[Term]:
    """Yield the releases beside *goal*; the one that was permanent is old."""
    for release in releases:
        match release:
            case Tuple((_, _, String(vsn), *_)) if vsn == goal.vsn:
                pass
            case Tuple((*known, Atom("permanent" | "current" | "tmp_current"))):
                yield replace(release, items=(*known, Atom("old")))
            case _:
                yield release


def _is_absolute(release: Term) -> bool:
    match release:
        case Tuple((_, _, _, _, List((Tuple((_, _, String(folder))), *_)), _)):
            return folder.startswith("/")
        case _:
            return False
