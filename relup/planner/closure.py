"""Which modules must change together on a Python node, found in the texts before there is a node to ask.

Names that imports bound are rebound when a module is loaded. What was computed from them at import (a subclass, a
decorated function, a default) is not: the module that computed it goes on with old objects for ever. So a set of
modules is closed when no module outside it evaluates a name of the set while it is imported, to a fixpoint: whoever is
found joins the set, and so do those that use *it* early. A node asks the same question of what it has loaded, with
the values at hand, and has the last word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from relup.diagnostics import Diagnostic, Location
from relup.model.code import Code, NoCode, PythonModule
from relup.model.instructions import LowLevel
from relup.model.membership import Dependant, Difference, Member, Members
from relup.model.release import Release
from relup.model.windows import Window, segments
from relup.planner.legs import Leg
from relup.planner.resolution import Step, imported, meanings, passed_on, python_module
from relup.planner.sameness import only_comments
from relup.syntax.scan import early_words, imports_inside
from relup.syntax.uses import Use


def dependants(release: Release, changing: Collection[str]) -> tuple[Dependant, ...]:
    """Return the modules that a set of modules is not closed without, each once, in the order of being found.

    *release* is the one that runs: what its modules computed is what would stay.
    """
    code, closed, found = release.code, set(changing), list[Dependant]()
    leading = Leading(release)
    fresh: Collection[str] = closed
    while fresh:
        more = [d for m in leading.to(fresh) if m not in closed and (d := _dependant(code, m, closed))]
        found += more
        fresh = {d.module for d in more}
        closed |= fresh
    return tuple(found)


class Leading:
    """The modules whose imports lead to others, directly or through re-exports; texts that name none are not parsed."""

    def __init__(self, release: Release) -> None:
        """Look among the modules of *release*, which is a Python node's."""
        self._code = release.code
        self._packages = {m.rpartition(".")[0] for a in release.applications for m in a.modules}
        self._found: dict[str, None] = {}

    def to(self, modules: Collection[str]) -> list[str]:
        """Return every module found so far that may lead to one of *modules*, or to one that was asked for before."""
        fresh = set(modules)
        while fresh:
            known = {*fresh, *self._found, *modules}
            fresh = {m for m in self._mentioning(fresh) if m not in known and self._imports(m, known)}
            self._found |= dict.fromkeys(sorted(fresh))
        return list(self._found)

    def _mentioning(self, modules: Collection[str]) -> list[str]:
        """Return who names a module by the last part of its name, or, relatively, a package by none at all."""
        tails = {m.rpartition(".")[2] for m in modules}
        inside = {m for m in modules if m in self._packages}
        relative = (m for m in self._code.mentioning(["from"]) if inside and m.rpartition(".")[0] in inside)
        return [*dict.fromkeys((*self._code.mentioning(tails), *relative))]

    def _imports(self, name: str, modules: Collection[str]) -> bool:
        """Say whether a module imports one of *modules*, or something that one of them passes on."""
        return any(
            (e.attribute is None and e.loads in modules)
            or self._passes_on(imported(self._code, name, e), e.key, modules)
            for e in self._code.imports(name)
        )

    def _passes_on(self, step: Step, key: str, modules: Collection[str]) -> bool:
        if step.module not in modules:
            return False
        if step.module not in self._found or not step.names or key == "*":
            return True
        return any(e.key in ("*", step.names[0]) for e in self._code.imports(step.module))


def _dependant(code: Code, name: str, changing: Collection[str]) -> Dependant | None:
    module = python_module(code, name) if _may_use_early(code, name) else None
    for use in module.outline.uses if module else ():
        of = _leads(code, module, use, changing) if module else None
        if module and of is not None:
            return Dependant(name, module.path, use.line, str(use), of)
    return None


def _may_use_early(code: Code, name: str) -> bool:
    """Say whether a module may evaluate, when it is imported, a name that it imports from the release."""
    text, imports = code.text(name) or b"", code.imports(name)
    own = {e.key for e in imports if code.has(e.loads) or code.has(imported(code, name, e).module)}
    return "*" in own or imports_inside(text) or not own.isdisjoint(early_words(text))


def _leads(code: Code, module: PythonModule, use: Use, changing: Collection[str]) -> str | None:
    """Return the module of *changing* that an early use leads to, None when it leads to none.

    One that only hands on what another module defines is none: what was evaluated is that other module's.
    """
    steps = _written(code, module, use) if use.path else meanings(code, module, use.names)
    ends = (s.module for s in steps if s.module in changing and s.module != module.name and not passed_on(code, s))
    return next(ends, None)


def _written(code: Code, module: PythonModule, use: Use) -> Iterator[Step]:
    """Yield what an import in a class body, or in a function that is called at once, leads to."""
    written, _, attribute = use.path.partition(" ")
    level = len(written) - len(written.lstrip("."))
    base = module.base.rsplit(".", level - 1)[0] if level > 1 else module.base
    tail = written.lstrip(".")
    path = ".".join(filter(None, (base if level else "", tail)))
    here = python_module(code, path)
    yield Step(path, (attribute,) if attribute else ())
    if attribute and code.has(f"{path}.{attribute}"):
        yield Step(f"{path}.{attribute}", ())
    elif attribute and here is not None:
        yield from meanings(code, here, (attribute,))


def check_closure(ways: Iterable[tuple[Leg, Sequence[LowLevel]]]) -> Iterator[Diagnostic]:
    """Find modules that a window of a script would leave with objects of the code it replaces; each is told once."""
    told: set[tuple[str, str]] = set()
    for leg, script in ways:
        for found, place, elsewhere in _left(leg, script):
            if (found.module, found.name) not in told:
                told.add((found.module, found.name))
                yield _not_closed(found, place, elsewhere)


def _left(leg: Leg, script: Sequence[LowLevel]) -> Iterator[tuple[Dependant, Location | None, bool]]:
    """Yield who is left out of a window, where that is written, and whether another window has it."""
    if leg.before.kind != "python" or isinstance(leg.before.code, NoCode):
        return
    windows = [s for s in segments(script) if isinstance(s, Window)]
    loaded = {c.module for window in windows for c in window.code}
    for window in windows:
        places = {c.module: c.location for c in window.code}
        for found in dependants(leg.before, places):
            yield found, places.get(found.of) or next(iter(places.values())), found.module in loaded


def _not_closed(found: Dependant, place: Location | None, elsewhere: bool) -> Diagnostic:
    message = (
        f"{found.module!r} evaluates {found.name!r} of {found.of!r} when it is imported ({found.path}:{found.line}),"
        " so it would go on using the old one"
    )
    if elsewhere:
        hint = "a call parts the window that loads both: let it stand before, or after, all that is loaded"
    else:
        hint = f"load it in the same window: load_module: {found.module}"
    return Diagnostic("not_closed", message, place, hint=hint)


def members(base: Release, goal: Release, script: Sequence[LowLevel]) -> Members:
    """Return the modules of each window of *script*, from *base* to *goal*, and why each is in its set."""
    before, after = base.fingerprints(), goal.fingerprints()
    found = []
    for window in segments(script):
        if isinstance(window, Window):
            differences = {m: _difference(m, base, goal, before.get(m), after.get(m)) for m in window.modules()}
            changing = {m for m, d in differences.items() if d not in ("same", "comments")}
            why = {d.module: d for d in dependants(base, changing)} if goal.kind == "python" else {}
            found.append(tuple(Member(m, d, why.get(m)) for m, d in differences.items()))
    return tuple(found)


def _difference(module: str, base: Release, goal: Release, before: str | None, after: str | None) -> Difference:
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before == after:
        return "same"
    return "comments" if only_comments(base.code, goal.code, module) else "changed"
