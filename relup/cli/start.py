"""`start`: a node in the foreground, for people and for service managers."""

from __future__ import annotations

from pathlib import Path

from relup.diagnostics import InvalidInput, Refused
from relup.document.release import form_of
from relup.targets.python.bare import become_bare
from relup.targets.python.foreground import run
from relup.targets.python.service import ALREADY_LOADED


def start(release: str, name: str | None, *, as_given: bool) -> int:
    """Run a release until it is stopped; return the exit code.

    A release may hold the libraries that relup itself is made of, and one of distributions may get them with any
    upgrade; then the process begins anew without them.
    """
    if _of_distributions(Path(release)):
        become_bare(release, name, as_given=as_given)
    try:
        return run(release, name, as_given=as_given)
    except Refused as error:
        if all(d.code != ALREADY_LOADED for d in error.diagnostics):
            raise
        become_bare(release, name, as_given=as_given)


def _of_distributions(path: Path) -> bool:
    try:
        return form_of(path) in ("installed", "wheels")
    except InvalidInput:
        return False
