"""What a name in one module of a Python release means in the others, followed through imports, without running them.

`Base` in `class Cart(Base)` may be imported from a package that imports it from a module that has it from a star
import. A name can mean several things where imports stand in branches; each is followed. What leads out of the
release is given back as it is written there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from relup.model.code import Code, PythonModule
from relup.syntax.imports import Import

Names: TypeAlias = tuple[str, ...]


class Step(NamedTuple):
    """A module, and the names that lead on from there; one step on the way from a name to what it means."""

    module: str
    names: Names


def python_module(code: Code, name: str) -> PythonModule | None:
    """Return a module of a Python release; None for any other."""
    found = code.module(name)
    return found if isinstance(found, PythonModule) else None


def meanings(code: Code, module: PythonModule, names: Names) -> Iterator[Step]:
    """Yield every step from *names* in *module* to what they mean: the last of each way defines it, or is outside."""
    seen: set[Step] = set()
    pending = [Step(module.name, names)]
    while pending:
        step = pending.pop()
        if step in seen:
            continue
        seen.add(step)
        yield step
        here = python_module(code, step.module)
        if here is not None and step.names:
            pending += reversed(list(_next(code, here, step.names)))


def passed_on(code: Code, step: Step) -> bool:
    """Say whether what a step names comes from another module: the one that the step is in only hands it on."""
    here = python_module(code, step.module)
    return here is not None and bool(step.names) and any(True for _ in _next(code, here, step.names))


def _next(code: Code, here: PythonModule, names: Names) -> Iterator[Step]:
    """Yield where a name of *here* comes from; nothing when it is the module's own."""
    entries = [e for e in here.outline.imports if e.key == names[0] and not e.typing_only]
    if entries:
        yield from (imported(code, here.name, entry, names[1:]) for entry in entries)
    elif names[0] not in here.outline.names:
        if here.package and code.has(f"{here.name}.{names[0]}"):
            yield Step(f"{here.name}.{names[0]}", names[1:])
            return
        stars = (e.module(here.base) for e in here.outline.imports if e.key == "*")
        yield from (Step(source, names) for source in stars if _may_have(code, source, names[0]))


def _may_have(code: Code, name: str, attribute: str) -> bool:
    """Say whether a star import brings a name: what a module outside of the release has is not known."""
    source = python_module(code, name)
    return source is None or attribute in source.outline.names or "*" in source.outline.names


def imported(code: Code, here: str, entry: Import, more: Names = ()) -> Step:
    """Return what an import statement in the module *here* names: the longest module that it leads to, with *more*."""
    base = entry.module(base_of(code, here))
    dotted = [*base.split("."), *([entry.attribute] if entry.attribute and entry.attribute != "*" else []), *more]
    least = len(base.split(".")) if entry.attribute else 1
    for length in range(len(dotted), least, -1):
        if code.has(".".join(dotted[:length])):
            return Step(".".join(dotted[:length]), tuple(dotted[length:]))
    return Step(".".join(dotted[:least]), tuple(dotted[least:]))


def base_of(code: Code, module: str) -> str:
    """Return the package that a module's relative imports count from."""
    return module if code.is_package(module) else module.rpartition(".")[0]
