"""Instructions about modules of somebody else."""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.planner.legs import Leg
from relup.planner.lint.table import finding
from relup.planner.names import keyword, modules_of


def check_homes(leg: Leg) -> Iterator[Diagnostic]:
    """Find instructions in an application's appup about modules that only other applications have, which change too.

    A module of an application that keeps its version has no appup of its own to stand in (`code_changed_vsn_did_not`).
    """
    if len({a.name for a in (*leg.before.applications, *leg.after.applications) if a.modules}) < 2:
        return
    own: dict[str, set[str]] = {}
    homes: dict[str, str] = {}
    for release in (leg.before, leg.after):
        for application in release.applications:
            own.setdefault(application.name, set()).update(application.modules)
            homes.update(dict.fromkeys(application.modules, application.name))
    vsns = ({a.name: a.vsn for a in release.applications} for release in (leg.before, leg.after))
    then, now = vsns
    for source in leg.sources:
        mine = own.get(source.application or "")
        if mine is None or source.origin not in ("entry", "inverse"):
            continue
        for i in source.instructions:
            for module in modules_of(i):
                if module not in mine and module in homes and then.get(homes[module]) != now.get(homes[module]):
                    message = (
                        f"{keyword(i)}: module {module!r} belongs to {homes[module]!r}, not to {source.application!r}"
                    )
                    hint = f"write it into the appup of {homes[module]}"
                    yield finding("module_of_another", message, i.location, hint)
