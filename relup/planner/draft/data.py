"""The values that a server keeps: instances of classes of the release, found by the names that its callbacks use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from relup.model.code import Code, PythonModule
from relup.planner.draft.scene import Scene
from relup.planner.resolution import Names, meanings, python_module
from relup.planner.roles import Role
from relup.syntax.outline import Class
from relup.syntax.states import states

Data: TypeAlias = tuple[str, Class]
"""A class, with its module."""

_DECORATORS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs", "s"})
_BASES = frozenset({"NamedTuple", "Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "Struct", "BaseModel"})


def is_data(cls: Class) -> bool:
    """Say whether instances of a class are values that a state may keep: they have fields, and nobody raises them."""
    if any(base[-1:] and base[-1].endswith(("Error", "Exception")) for base in cls.bases):
        return False
    decorated = any(d[-1:] and d[-1] in _DECORATORS for d in cls.decorators)
    return decorated or any(b[-1:] and b[-1] in _BASES for b in cls.bases) or bool(cls.fields)


def data_of(scene: Scene, module: PythonModule, role: Role) -> tuple[Data, ...]:
    """Return the data classes of loaded modules that a server's callbacks name, and those that their fields name."""
    names = {n for _, cls in role.classes for method in cls.methods.values() for n in method.names}
    found = {(m, cls.name): (m, cls) for made in _made(scene, role) for m, cls in _class_of(scene, *made)}
    pending = [(module, n) for n in sorted(names)]
    while pending:
        here, name = pending.pop(0)
        for there, cls in _classes(scene.new, here, name):
            if (there.name, cls.name) not in found and is_data(cls):
                found[there.name, cls.name] = (there.name, cls)
                pending += [(there, kind) for kind in sorted(cls.kinds)]
    return tuple(d for d in found.values() if d[0] in scene.loaded)


def made_elsewhere(scene: Scene, role: Role) -> Iterator[str]:
    """Yield, in words, which functions of other applications' loaded modules make what a server puts into its state."""
    applications = {m: a.name for a in scene.after.applications for m in a.modules}
    for here, names in _made(scene, role):
        for step in meanings(scene.new, here, names):
            foreign = applications.get(step.module) != applications.get(here.name)
            there = python_module(scene.new, step.module) if foreign and step.module in scene.loaded else None
            if there and step.names[:1] and step.names[0] in there.outline.functions:
                yield f"keeps what {'.'.join(names)} makes, of {step.module}, which is loaded anew"


def _made(scene: Scene, role: Role) -> Iterator[tuple[PythonModule, Names]]:
    """Yield what the callbacks of a server are seen to call for values of its state, and where."""
    for name, cls in role.classes:
        here, text = python_module(scene.new, name), scene.new.text(name)
        state = states(text).get(cls.name) if here and text else None
        yield from ((here, h.names) for h in (state.held if state else ()) if here and h.kind == "call")


def _class_of(scene: Scene, here: PythonModule, names: Names) -> Iterator[Data]:
    return ((there.name, cls) for there, cls in _classes(scene.new, here, names) if there.name in scene.loaded)


def _classes(code: Code, here: PythonModule, name: Names) -> Iterator[tuple[PythonModule, Class]]:
    """Yield the classes that a dotted name, or the beginning of one, means."""
    for step in meanings(code, here, name):
        there = python_module(code, step.module)
        for length in range(1, len(step.names) + 1) if there else ():
            cls = there.outline.classes.get(".".join(step.names[:length])) if there else None
            if there and cls:
                yield there, cls


def in_words(scene: Scene, module: str, cls: Class) -> str:
    """Say what became of a data class, and which of its fields come and go."""
    if cls.name not in scene.difference(module).classes:
        return f"uses {cls.name} of {module}, which is loaded anew"
    before = python_module(scene.old, module)
    was = before.outline.classes.get(cls.name) if before else None
    more = [f"+ {f}" for f in cls.fields if was and f not in was.fields]
    less = [f"- {f}" for f in was.fields if f not in cls.fields] if was else []
    return f"uses {cls.name} of {module}, which changed{': ' if more or less else ''}{', '.join([*more, *less])}"
