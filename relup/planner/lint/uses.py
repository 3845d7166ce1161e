"""Modules that others need: none may go that is still imported, none may come after who needs it.

An import that is tried (`try: import old` with an `except ImportError`) is no need. One in a function fails only when
the function is called, and one in a branch for a platform only there, which nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic
from relup.model.code import BeamModule, PythonModule
from relup.planner.lint.classes import Classes
from relup.planner.lint.guards import guards
from relup.planner.lint.scene import Scene, where
from relup.planner.lint.sought import Sought, sought
from relup.planner.lint.table import finding
from relup.planner.names import keyword
from relup.syntax.imports import Import

When: TypeAlias = Literal["imported", "called", "somewhere"]
"""When a module is needed: when its user is imported, when something in it is called, or in some places only."""
_WORDS: Mapping[When, str] = {
    "imported": "when it is imported",
    "called": "when it is called",
    "somewhere": "under some versions of Python, or on some platforms",
}


def check_deleted_uses(scene: Scene) -> Iterator[Diagnostic]:
    """Find modules that go and that a module of the release to come imports."""
    kept = {m for a in scene.leg.after.applications for m in (*a.modules, *a.fingerprints)}
    gone = sought(m for m in scene.removes if m not in kept and m not in scene.loads)
    if not gone.modules:
        return
    for user in scene.after.modules():
        for module, line, when in _needs(scene.after, user, gone):
            i = scene.removes[module]
            at = where(scene.after, user, line)
            place = f" ({at.file}:{at.line})" if at and line else ""
            message = f"{keyword(i)}: module {user!r} of the release to come needs {module!r} {_WORDS[when]}{place}"
            hint = "keep the module, or take the import out"
            yield finding("deleted_while_used", message, i.location, hint, None if when == "imported" else "warning")


def check_added_uses(scene: Scene) -> Iterator[Diagnostic]:
    """Find modules that are new and come in a later window than code that uses them."""
    late = {m: n for m, n in scene.windows.items() if n and m in scene.loads and m not in _known(scene)}
    windows = dict.fromkeys(scene.windows.values()) if late else ()
    later = {window: sought(m for m, n in late.items() if n > window) for window in windows}
    for user, window in scene.windows.items() if late else ():
        using = later[window].modules and user in scene.loads
        for module, line, _ in _needs(scene.after, user, later[window]) if using else ():
            i = scene.loads[module]
            at = where(scene.after, user, line)
            place = f" ({at.file}:{at.line})" if at and line else ""
            message = f"{keyword(i)}: module {user!r} uses {module!r}{place}, and is loaded in an earlier window"
            hint = f"write it before the call that parts them, or let {user} depend on it: depends: [{module}]"
            yield finding("used_before_added", message, i.location, hint)


def _known(scene: Scene) -> set[str]:
    return {m for a in scene.leg.before.applications for m in (*a.modules, *a.fingerprints)}


def _needs(classes: Classes, user: str, modules: Sought) -> Iterator[tuple[str, int, When]]:
    """Yield which of *modules* a module needs, in which line, and when."""
    found = classes.release.code.module(user) if classes.mentions(user, modules) else None
    match found:
        case None:
            pass
        case BeamModule():
            called = {name for name, _, _ in found.imports}
            yield from ((m, 0, "called") for m in modules.modules if m in called and m != user)
        case _:
            yield from _written(classes, user, found, modules)


def _written(classes: Classes, user: str, found: PythonModule, modules: Sought) -> Iterator[tuple[str, int, When]]:
    """Yield what the imports of a Python module need; what stands around them is read once, when there are any."""
    outline = found.outline
    hits = [
        (hit, i.line, late)
        for late, imports in ((False, outline.imports), (True, outline.late))
        for i in imports
        if not i.typing_only
        for hit in [m for m in modules.modules if m != user and _imports(i, found.base, m, classes)][:1]
    ]
    around = guards(classes.text(user)) if hits else {}
    for module, line, late in hits:
        match around.get(line):
            case "tried":
                pass
            case "somewhere":
                yield module, line, "called" if late else "somewhere"
            case None:
                yield module, line, "called" if late else "imported"


def _imports(i: Import, base: str, module: str, classes: Classes) -> bool:
    """Say whether an import statement needs *module*: itself, something of it, or a module below it."""
    origin = i.module(base) if i.path.startswith(".") else i.loads
    if origin == module or origin.startswith(f"{module}."):
        return True
    if f"{origin}.{i.attribute}" != module:
        return False
    package = classes.module(origin)  # which may have something else of that name now
    return package is None or not {i.attribute, "*"} & package.outline.names
