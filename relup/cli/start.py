"""`start`: a node in the foreground, for people and for service managers."""

from __future__ import annotations

from relup.diagnostics import Refused
from relup.targets.python.bare import become_bare
from relup.targets.python.foreground import run
from relup.targets.python.service import ALREADY_LOADED


def start(release: str, name: str | None, *, as_given: bool) -> int:
    """Run a release until it is stopped; return the exit code.

    A release may hold the libraries that relup itself is made of; then the process begins anew without them.
    """
    try:
        return run(release, name, as_given=as_given)
    except Refused as error:
        if all(d.code != ALREADY_LOADED for d in error.diagnostics):
            raise
        become_bare(release, name, as_given=as_given)
