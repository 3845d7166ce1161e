"""C extensions, which a live process cannot exchange.

Python loads a C extension once: its code, its types and its static data stay until the process ends, and importing
another file under the same name either answers with the first or mixes the two. So of two releases between which an
extension changes, becomes pure Python or stops being it, no plan can be made. One that is new can be imported like
any other; one that is gone stays loaded if it was, and nothing of the new release asks for it.

The files are compared whatever versions their applications have: an extension built anew has other code too.
"""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.release import Application, Release

CODE = "extension_changed"


def check_extensions(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Find the C extensions because of which the upgrade needs a restart, and note those that stay loaded."""
    if "beam" in (base.kind, goal.kind):
        return
    before, after = base.extensions(), goal.extensions()
    sources_before, sources_after = base.fingerprints(), goal.fingerprints()
    owners = {m: a for r in (base, goal) for a in r.applications for m in (*a.extensions, *a.fingerprints)}
    for module in sorted(before.keys() | after.keys()):
        old, new = before.get(module), after.get(module)
        if old is not None and new is not None and old != new:
            yield _refused(module, owners[module], "is another one in the new release")
        elif new is None and module in sources_after:
            yield _refused(module, owners[module], "is pure Python in the new release")
        elif old is None and module in sources_before:
            yield _refused(module, owners[module], "was pure Python in the release before")
        elif new is None:
            message = f"the C extension {module!r} is not in {goal}: a process that has it loaded keeps it loaded"
            yield Diagnostic("extension_stays", message, owners[module].location, "note")


def _refused(module: str, owner: Application, what: str) -> Diagnostic:
    message = (
        f"the C extension {module!r} of {owner.name!r} {what}: a Python process cannot load a C extension"
        " a second time, so this upgrade cannot be done live"
    )
    hint = f"restart the node on the new release, or install {owner.name!r} in both releases as pure Python"
    return Diagnostic(CODE, message, owner.location, hint=hint)
