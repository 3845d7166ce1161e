"""Whether a script brings about the release it is for: every module that differs must be dealt with.

OTP refuses a missing appup entry but not an incomplete one: the changed module it forgets keeps its old
code and the upgrade reports success. Files tell the truth, so their fingerprints are compared with what
the instructions do, module by module. Releases without fingerprints cannot be compared and are not.
A module whose comments changed, and nothing else, needs no instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.model.instructions import (
    AddApplication,
    AddModule,
    DeleteModule,
    Load,
    LoadModule,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Update,
)
from relup.model.release import Application, Release
from relup.model.shortened import shortened
from relup.planner.legs import Leg
from relup.planner.names import keyword
from relup.planner.sameness import only_comments

Effect: TypeAlias = Literal["loaded", "removed"]
_FEW = 3
"""How many modules of one script are noted one by one."""
_CORE = ("erts", "kernel", "stdlib", "sasl")
"""Applications that come with the emulator (OTP's rule for restart_new_emulator)."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The fingerprints of both releases, and what becomes of each module."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    effects: Mapping[str, Effect]
    same: Callable[[str], bool]
    """Whether the texts of a module differ in nothing but comments, layout and docstrings."""

    def changed(self, module: str) -> bool:
        """Say whether *module* does something else in the new release than in the old one."""
        return self.before.get(module) != self.after.get(module) and not self.same(module)

    def unmet(self, module: str) -> tuple[str, str, str] | None:
        """Return code, complaint and remedy when *module* does not end as the new release has it."""
        old, new, effect = self.before.get(module), self.after.get(module), self.effects.get(module)
        if new is not None and effect == "removed":
            return "deleted_but_present", "is deleted, and the new release still has it", "load it instead"
        if new is None and effect is None:
            return "removed_not_deleted", "is not in the new release, and no instruction deletes it", "delete_module"
        if old is None and new is not None and effect is None:
            return "new_not_loaded", "is new, and no instruction adds it", "add_module"
        if new is not None and effect is None and self.changed(module):
            return "changed_not_loaded", "changed, and no instruction loads it", "update or load_module"
        return None


def check_coverage(leg: Leg) -> Iterator[Diagnostic]:
    """Find modules of changed applications that *leg* leaves as they should not be."""
    files, places = _files(leg), leg.places()
    for before, after in _comparable(leg):
        if before.vsn != after.vsn and after.name in places:
            where = places[after.name]
            for module in sorted(before.fingerprints.keys() | after.fingerprints.keys()):
                yield from _gap(files, module, after.name, where)


def _gap(files: _Files, module: str, application: str, where: Location | None) -> Iterator[Diagnostic]:
    unmet = files.unmet(module)
    if unmet:
        code, complaint, remedy = unmet
        message = f"module {module!r} of {application!r} {complaint}"
        yield Diagnostic(code, message, where, hint=remedy if " " in remedy else f"{remedy}: {module}")


def check_unversioned(leg: Leg) -> Iterator[Diagnostic]:
    """Find applications whose code changed while their version did not."""
    files = _files(leg)
    for before, after in _comparable(leg):
        if before.vsn == after.vsn and before.fingerprints != after.fingerprints:
            names = sorted(before.fingerprints.keys() | after.fingerprints.keys())
            changed = [m for m in names if files.changed(m)]
            left = [m for m in changed if files.unmet(m)]
            if changed:
                yield _unversioned(after, left or changed, bool(left))


def _unversioned(application: Application, modules: Sequence[str], left: bool) -> Diagnostic:
    what = "nothing loads the changes" if left else "other applications' instructions load them"
    message = (
        f"the code of {application.name!r} changed and its version did not, it is {application.vsn} in both releases:"
        f" {what} of {', '.join(modules)}"
    )
    hint = "give the new release's a version of its own, and an appup"
    return Diagnostic("code_changed_vsn_did_not", message, application.location, "error" if left else "warning", hint)


def notes(leg: Leg) -> Iterator[Diagnostic]:
    """Note modules that are loaded and whose files did not change; of a script that has many, once for all."""
    before, after = leg.before.fingerprints(), leg.after.fingerprints()
    for source in leg.sources:
        loads = [i for i in source.instructions if isinstance(i, Update | LoadModule | AddModule | Load)]
        said = [i for i in loads if not (isinstance(i, Update) and i.migrate)]  # these are not loaded
        same = [i for i in said if i.module in after and after[i.module] == before.get(i.module)]
        if len(same) > _FEW:
            names = shortened([i.module for i in same])
            message = f"{len(same)} modules are loaded and their files are the same in both releases: {names}"
            yield Diagnostic("loaded_unchanged", message, same[0].location, "note")
            continue
        for i in same:
            message = f"{keyword(i)}: the file of module {i.module!r} is the same in both releases"
            yield Diagnostic("loaded_unchanged", message, i.location, "note")


def _files(leg: Leg) -> _Files:
    same = partial(only_comments, leg.before.code, leg.after.code)
    return _Files(leg.before.fingerprints(), leg.after.fingerprints(), dict(_effects(leg)), same)


def _comparable(leg: Leg) -> Iterator[tuple[Application, Application]]:
    """Yield the applications that both releases have, with fingerprints in both."""
    then = {a.name: a for a in leg.before.applications}
    for after in leg.after.applications:
        before = then.get(after.name)
        if before and before.fingerprints and after.fingerprints:
            yield before, after


def _effects(leg: Leg) -> Iterator[tuple[str, Effect]]:
    """Yield what becomes of modules, in the order of the script: of one module, the last counts."""
    for i in leg.instructions():
        match i:
            case Update(module) | LoadModule(module) | AddModule(module) | Load(module):
                yield module, "loaded"
            case DeleteModule(module) | Remove(module):
                yield module, "removed"
            case AddApplication(name):
                yield from _loaded(leg.after, (name,))
            case RemoveApplication(name):
                yield from _removed(leg.before, name)
            case RestartApplication(name):
                yield from _removed(leg.before, name)
                yield from _loaded(leg.after, (name,))
            case RestartNewEmulator() if leg.direction == "up":
                yield from _loaded(leg.after, _CORE)
            case RestartEmulator() | RestartNewEmulator():
                yield from _restarted(leg)
            case _:
                pass


def _loaded(release: Release, names: Sequence[str]) -> Iterator[tuple[str, Effect]]:
    for a in release.applications:
        if a.name in names:
            yield from ((m, "loaded") for m in (*a.modules, *a.fingerprints))


def _removed(release: Release, name: str) -> Iterator[tuple[str, Effect]]:
    for a in release.applications:
        if a.name == name:
            yield from ((m, "removed") for m in (*a.modules, *a.fingerprints))


def _restarted(leg: Leg) -> Iterator[tuple[str, Effect]]:
    """A node that restarts has what the new release has, and nothing else."""
    for a in leg.before.applications:
        yield from _removed(leg.before, a.name)
    yield from _loaded(leg.after, [a.name for a in leg.after.applications])
