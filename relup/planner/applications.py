"""Instructions about whole applications, written out as instructions about their modules.

`start` and `stop` are ordinary calls of OTP's application controller; a Python node has one of its own that
answers to the same names. What an instruction removes are the modules of the release that runs; what it
adds are those of the release to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relup.diagnostics import Diagnostic, Location
from relup.model.instructions import (
    AddApplication,
    AddModule,
    ApplicationType,
    Apply,
    Call,
    Instruction,
    PurgeModules,
    Remove,
    RemoveApplication,
    RestartApplication,
)
from relup.model.release import Application
from relup.planner.names import did_you_mean, keyword
from relup.planner.order import Expanded

Applications = Mapping[str, Application]


def by_name(applications: Sequence[Application]) -> Applications:
    """Return the applications by name; the first of a name wins, as in OTP."""
    return {a.name: a for a in reversed(applications)}


def expand(script: Sequence[Instruction], after: Applications, before: Applications) -> Iterator[Expanded]:
    """Write out instructions about applications; those that `check_applications` finds wrong do nothing."""
    for i in script:
        match i:
            case AddApplication(name, how):
                if name in after:
                    yield from _add(after[name], how, i.location)
            case RemoveApplication(name):
                if name in before:
                    yield from _remove(before[name], i.location)
                    yield Apply(Call("application", "unload", (name,)), location=i.location)
            case RestartApplication(name):
                if name in before and name in after:
                    yield from _remove(before[name], i.location)
                    yield from _add(after[name], after[name].type, i.location)
            case _:
                yield i


def _add(application: Application, how: ApplicationType, location: Location | None) -> Iterator[Expanded]:
    yield from (AddModule(m, location=location) for m in application.modules)
    match how:
        case "none":
            pass
        case "load":
            yield Apply(Call("application", "load", (application.name,)), location=location)
        case _:
            yield Apply(Call("application", "start", (application.name, how)), location=location)


def _remove(application: Application, location: Location | None) -> Iterator[Expanded]:
    yield Apply(Call("application", "stop", (application.name,)), location=location)
    yield from (Remove(m, location=location) for m in application.modules)
    yield PurgeModules(application.modules, location=location)


def check_applications(
    script: Sequence[Instruction], after: Applications, before: Applications
) -> Iterator[Diagnostic]:
    """Find applications that are not where an instruction needs them."""
    for i in script:
        match i:
            case AddApplication(name):
                yield from _missing(i, name, after, "the release to come")
            case RemoveApplication(name):
                yield from _missing(i, name, before, "the release that runs")
                if name in after:
                    message = f"remove_application: the release to come still has application {name!r}"
                    yield Diagnostic("removed_application_present", message, i.location)
            case RestartApplication(name):
                yield from _missing(i, name, before, "the release that runs")
                yield from _missing(i, name, after, "the release to come")
            case _:
                pass


def _missing(i: Instruction, name: str, applications: Applications, release: str) -> Iterator[Diagnostic]:
    if name not in applications:
        message = f"{keyword(i)}: {release} has no application {name!r}"
        yield Diagnostic("no_such_application", message, i.location, hint=did_you_mean(name, applications))
