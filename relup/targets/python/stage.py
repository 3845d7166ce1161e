"""The new code of an upgrade, window by window, before any of it is visible.

Each window is staged on top of the one before it, so its bodies see what they will see when it opens. What is
found here (a body that raises, a name that is gone, a dependant that would keep old objects, somebody who
lingers in the version before) refuses the upgrade with nothing touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, Location, Refused, Severity, errors
from relup.document import read_extensions
from relup.executor import Side
from relup.model.instructions import Direction, Load
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Window, inverse, segments
from relup.runtime import GenServer, Process, Supervisor
from relup.runtime.code import Carry, ClassReference, CodeServer, Source, Staged, StagingError
from relup.runtime.code.instances import Census
from relup.runtime.code.source import Version
from relup.targets.python import preflight
from relup.targets.python.migrating import migrated
from relup.targets.python.passage import Passage, passage
from relup.targets.python.threads import Unended, in_bounded_thread, in_daemon_thread, unended

STAGING_LIMIT = 60.0
"""Seconds for the bodies of a window's modules to run off to the side."""


class Stage:
    """What each window of one plan will load."""

    def __init__(self, code: CodeServer, relup: Relup, limit: float | None = None) -> None:
        """Stage for the node whose code server is *code*; bodies of a window may take *limit* seconds."""
        self._limit = STAGING_LIMIT if limit is None else limit
        self._code = code
        self._relup = relup
        self._staged: list[tuple[Window, Staged]] = []
        self._base_vsns: dict[str, Any] = {}
        self._goal_vsns: dict[str, Any] = {}
        self._paths: dict[str, Path] = {}
        self._passages: list[tuple[Window, Passage, Passage]] = []
        self.census = Census(())
        self.notes: list[Diagnostic] = []

    async def prepare(self, windows: Sequence[Window]) -> None:
        """Read, compile and run the code of every window. Raises `Refused`."""
        if stack := unended():
            message = f"new code that was to be imported for an earlier upgrade has not ended: it is at {stack}"
            raise Refused(
                [Diagnostic("import_unended", message, hint="nothing can be imported beside it; restart the node")]
            )
        sources = await in_daemon_thread(preflight.load_sources, self._relup.goal)
        extensions = await in_daemon_thread(read_extensions, self._relup.goal)
        problems = [
            *preflight.check_goal(self._relup.goal, sources),
            *await in_daemon_thread(preflight.check_extensions, self._relup.goal, extensions),
            *await self._lingering(windows),
        ]
        if problems:
            raise Refused(problems)
        self._paths = {module: Path(source.path) for module, source in sources.items()} | extensions
        for window in windows:
            if window.code:
                await self._prepare(window, sources)
        await self._note_left_behind({m for window in windows for m in window.modules()})
        self._prepare_passages()
        self.census = Census({c for p in self._every() for t in p.turnings for c in (t.old, t.new)})

    async def _note_left_behind(self, changing: Collection[str]) -> None:
        left = {m: path for m, path in self._paths.items() if m not in changing}
        for module in await in_daemon_thread(partial(self._code.differing, left)):
            message = f"{module} has another text in the new release and is not part of the upgrade"
            self.notes.append(Diagnostic("side_effect", message, severity="note"))

    def _prepare_passages(self) -> None:
        """Find what goes over with the code, there and, for a window that a later failure undoes, back."""
        upwards, way_back = self._relup.direction == "up", self._relup.way_back or ()
        last = segments(self._relup.script)[-1:]
        said: list[Diagnostic] = []
        for window, staged in self._staged:
            there, found = passage(self._code, staged, _loads(window), upwards=upwards, back=False)
            back = Passage()
            if window not in last and way_back:
                back, more = self._passage_back(staged, inverse(window, way_back)[0])
                found += more
            self._passages.append((window, there, back))
            said += found
        if wrong := errors(said):
            raise Refused(wrong)
        self.notes += dict.fromkeys(said)

    def _passage_back(self, staged: Staged, undoing: Window) -> tuple[Passage, list[Diagnostic]]:
        return passage(self._code, staged, _loads(undoing), upwards=self._relup.direction == "down", back=True)

    def prepare_way_back(self, window: Window, undoing: Window) -> list[Diagnostic]:
        """Find what goes over on the way back over a *window* whose new code runs; return what is wrong with that.

        An upgrade does not go back over its last window. A rehearsal does, on a copy: it may read all of the heap.
        """
        number = next((n for n, (known, *_) in enumerate(self._passages) if known is window), None)
        if number is None:
            return []
        back, said = self._passage_back(self._staged[number][1], undoing)
        self._passages[number] = (window, self._passages[number][1], back)
        if back.turnings:
            self.census = Census({c for t in back.turnings for c in (t.old, t.new)})
            self.census.begin()
            self.census.look()
            self.census.settle()
        return errors(said)

    def _every(self) -> Iterator[Passage]:
        return (p for _, *both in self._passages for p in both)

    async def count_instances(self) -> list[Diagnostic]:
        """Take the census of the instances to be migrated, and return how many there are now.

        Everything that exists is set aside for it until `close`: do it last before the window.
        """
        turnings = [t for p in self._every() for t in p.turnings]
        if not turnings:
            return []
        self.census.begin()
        await in_daemon_thread(self.census.look)
        self.census.settle()
        ahead = [t for _, there, _ in self._passages for t in there.turnings]
        found = self.census.find([t.old for t in ahead])
        return [migrated(t, len(found[t.old]), "will be migrated") for t in ahead]

    def passage(self, window: Window, *, back: bool = False) -> Passage:
        """Return what goes over with the code of *window*, there or back."""
        found = ((there, home) for known, there, home in self._passages if known is window)
        return next(((home if back else there) for there, home in found), Passage())

    def carries(self) -> Iterator[Carry]:
        """Return what is to be kept, from windows that are ahead and, in the other direction, from those behind."""
        for (_, staged), (_, there, back) in zip(self._staged, self._passages, strict=True):
            if carry := (there if staged.stage == "staged" else back).carry:
                yield carry

    async def _prepare(self, window: Window, sources: Mapping[str, Source]) -> None:
        loads = [c for c in window.code if isinstance(c, Load) and c.module in sources]
        removed = [m for m in window.modules() if m not in sources]
        places = {c.module: c.location for c in window.code}
        after = self._staged[-1][1] if self._staged else None
        optional = [m for a in self._relup.goal.applications if a.start is None for m in a.modules]
        texts = [sources[c.module] for c in loads]
        stage = partial(self._code.stage, texts, removed, after, known=self._paths, optional=optional)
        try:
            staged = await in_bounded_thread(self._limit, stage)
        except StagingError as error:
            raise Refused([_staging(error, places.get(error.module))]) from error
        except Unended as error:
            if isinstance(error.result, Staged):
                error.result.abandon()
            raise Refused([_unended(error, shortened([*places]), window.code[0].location)]) from error
        self._staged.append((window, staged))
        if staged.unclosed:
            raise Refused(_unclosed(staged, window))
        self.notes += [Diagnostic("side_effect", note, severity="note") for note in staged.notes]
        self.notes += _lacking(staged.lacking, places, self._relup.goal)
        self._base_vsns |= {m: _vsn(v.module, v.digest) for m, v in staged.previous.items()}
        self._goal_vsns |= {m: _vsn(loaded, staged.versions[m].digest) for m, loaded in staged.modules.items()}

    async def _lingering(self, windows: Sequence[Window]) -> list[Diagnostic]:
        """Find who uses code that would be two versions old: an error where the policy is soft, else a note."""
        found: list[Diagnostic] = []
        old = frozenset(self._code.old)
        outdated = [c for w in windows for c in w.code if c.module in old]
        users = await in_daemon_thread(self._code.lingering_in_each) if outdated else {}
        for code in outdated:
            for lingerer in users.get(code.module, ()):
                message = f"old code of {code.module!r} is still in use, by {lingerer.who} ({lingerer.where})"
                severity: Severity = "error" if code.pre_purge == "soft_purge" else "note"
                found.append(Diagnostic("not_purged", message, code.location, severity))
        self.notes += [d for d in found if d.severity == "note"]
        return errors(found)

    def check_classes(self, windows: Sequence[Window], used: Iterable[ClassReference]) -> list[Diagnostic]:
        """Check that the classes of processes stay what they are; return those that do not change their states.

        Raises `Refused` for one that is no longer of the same behaviour.
        """
        places = {c.module: c.location for w in windows for c in w.changes()}
        found = [d for reference in used for d in self._check_class(reference, places)]
        if wrong := errors(found):
            raise Refused(wrong)
        return found

    def _check_class(self, reference: ClassReference, places: Mapping[str, Location | None]) -> Iterator[Diagnostic]:
        staged = next((s for _, s in self._staged if reference.module in s.modules), None)
        new = staged.counterpart(reference.cls) if staged else None
        if new is None:
            return
        name = f"{reference.module}:{reference.qualname}"
        behaviour = Supervisor if issubclass(reference.cls, Supervisor) else GenServer
        if not issubclass(new, behaviour):
            message = f"{name} is no {behaviour.__name__} any more, and processes run it"
            yield Diagnostic("bad_behaviour", message, places.get(reference.module))
        elif reference.module in places and self._changes_nothing(reference.cls, new):
            message = f"{name} has no code_change: the states of its processes stay as they are"
            yield Diagnostic("no_code_change", message, places[reference.module], "warning")

    def _changes_nothing(self, running: type, new: type) -> bool:
        """Say whether the class that is asked, that of the newer version, has no `code_change` of its own."""
        asked = running if self._relup.direction == "down" else new
        return getattr(asked, "code_change", None) is GenServer.code_change

    @property
    def replaced(self) -> dict[str, Version]:
        """The versions of modules that the windows replace or remove."""
        return {name: version for _, staged in self._staged for name, version in staged.previous.items()}

    @property
    def current(self) -> dict[str, Version]:
        """The new versions that are in place."""
        swapped = (staged for _, staged in self._staged if staged.stage == "swapped")
        return {name: version for staged in swapped for name, version in staged.versions.items()}

    def namespaces(self) -> Iterator[dict[str, Any]]:
        """Yield what the modules consist of that the windows will load."""
        yield from (version.namespace for _, staged in self._staged for version in staged.versions.values())

    def variables(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the module, name and value of what modules that no window touches go on with as it is."""
        replaced = self.replaced
        written = {(id(w.container), w.key) for _, staged in self._staged for w in staged.writes}
        for version in self._code.running():
            for key, value in list(version.namespace.items()) if version.source.name not in replaced else ():
                if (id(version.namespace), key) not in written:
                    yield version.source.name, key, value

    def migrates(self, windows: Sequence[Window]) -> Callable[[Process], bool]:
        """Return what says whether the state of a process is given to a `code_change` of its own."""
        modules = {c.module for w in windows for c in w.changes()}

        def sees(process: Process) -> bool:
            if modules.isdisjoint(process.modules):
                return False
            cls = process.reference.cls
            new = next((n for _, s in self._staged if (n := s.counterpart(cls)) is not None), cls)
            changes = (getattr(c, "code_change", None) for c in (cls, new))
            return any(c is not GenServer.code_change for c in changes)

        return sees

    def purge_before(self, staged: Staged) -> None:
        """Drop the code that is two versions old once *staged* is swapped in (OTP's pre-purge)."""
        old = frozenset(self._code.old)
        self._code.drop([m for m in staged.previous if m in old])

    def of(self, window: Window) -> Staged | None:
        """Return the staged code of *window*; None when it changes no code."""
        return next((staged for known, staged in self._staged if known is window), None)

    def vsn(self, module: str, mode: Direction, towards: Side) -> Any:
        """Return the vsn that `code_change` of *module* is told: where it comes from, or goes down to."""
        to_goal = towards == "goal"
        versions = self._base_vsns if (mode == "up") == to_goal else self._goal_vsns
        return versions.get(module)

    def close(self) -> None:
        """Drop what was never made current, last first, and let the collector have what was set aside."""
        self.census.close()
        self._passages.clear()
        for _, staged in reversed(self._staged):
            if staged.stage != "swapped":
                staged.abandon()
        self._staged.clear()
        self._code.tidy()


def _loads(window: Window) -> list[Load]:
    return [c for c in window.code if isinstance(c, Load)]


def _vsn(module: object, digest: str) -> Any:
    """Return what the module says of itself, as it says it: `code_change` matches on it."""
    return getattr(module, "__vsn__", digest)


def _unended(error: Unended, modules: str, place: Location | None) -> Diagnostic:
    """Say which import did not come to its end, and what became of it."""
    after = "it was interrupted" if error.ended else "it cannot be interrupted, so it goes on in a thread of its own"
    message = (
        f"the new code of {modules} did not end its import within {error.limit:g} s: it was at {error.stack}; {after}"
    )
    return Diagnostic("import_timeout", message, place)


def _staging(error: StagingError, place: Location | None) -> Diagnostic:
    inside = Location(error.path, max(error.line, 1), 1) if error.path else place
    return Diagnostic("bad_code", f"module {error.module!r} cannot be loaded: {error.message}", inside)


def _lacking(
    found: Mapping[str, StagingError], places: Mapping[str, Location | None], goal: Release
) -> Iterator[Diagnostic]:
    """Say which new modules cannot be imported here. Raises `Refused` for one that an application starts with."""
    starts = {a.start.partition(":")[0] for a in goal.applications if a.start}
    for module, error in found.items():
        if module in starts:
            raise Refused([_staging(error, places.get(module))])
        message = f"the new module {module!r} cannot be imported here, and nothing imports it: {error.message}"
        yield Diagnostic("not_importable", message, places.get(module), "warning")


def _unclosed(staged: Staged, window: Window) -> list[Diagnostic]:
    """Say who keeps old objects, at its own line: what has to be written is not in the appup yet."""
    message = "{module!r} keeps {name!r} of a module that is loaded anew, so it would go on using the old one"
    hint = "load it in the same window, in the appup of an application that changes: load_module: {module}"
    return [
        Diagnostic(
            "not_closed",
            message.format(module=found.module, name=found.name),
            Location(found.path, max(found.line, 1), 1) if found.path else window.code[0].location,
            hint=hint.format(module=found.module),
        )
        for found in staged.unclosed
    ]
