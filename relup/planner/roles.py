"""What the modules of a release are: servers, supervisors, applications, or none of these.

In Erlang a module says its behaviour; in Python a class has bases, and they may stand in other modules. What a class
inherits in its own release counts as its own: a `code_change` that a base has is the class's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relup.model.code import BeamModule, Code, ModuleCode, PythonModule
from relup.planner.behaviours import Behaviour, behaviours
from relup.planner.resolution import meanings, python_module
from relup.syntax.outline import Class, Method

_PYTHON: Mapping[str, Behaviour] = {"GenServer": "server", "Supervisor": "supervisor", "Application": "application"}


@dataclass(frozen=True, slots=True)
class Role:
    """One thing that a module is."""

    behaviour: Behaviour
    name: str
    """The class, by its qualified name; on BEAM the behaviour as the module says it."""
    line: int
    classes: tuple[tuple[str, Class], ...] = ()
    """The class and its bases in the release, each with its module, the nearest first; none on BEAM."""
    said: bool = True
    """Whether the module says so; else it is inferred from what it exports."""

    def method(self, name: str) -> Method | None:
        """Return a method that the class has or inherits within the release."""
        return next((c.methods[name] for _, c in self.classes if name in c.methods), None)


def roles(code: Code, module: ModuleCode | None) -> tuple[Role, ...]:
    """Return what a module is, in the order of its text."""
    match module:
        case PythonModule():
            return tuple(_python(code, module))
        case BeamModule():
            return tuple(Role(kind, name, 1, said=said) for kind, name, said in behaviours(module))
        case None:
            return ()


def _python(code: Code, module: PythonModule) -> Iterator[Role]:
    for cls in module.outline.classes.values():
        lineage = list(_lineage(code, module, cls))
        behaviour = next((found for found in lineage if isinstance(found, str)), None)
        if behaviour:
            yield Role(behaviour, cls.name, cls.line, tuple(c for c in lineage if not isinstance(c, str)))


def _lineage(code: Code, module: PythonModule, cls: Class) -> Iterator[tuple[str, Class] | Behaviour]:
    """Yield the class, its bases in the release, and the behaviours that they end in, the nearest first."""
    seen: set[tuple[str, str]] = set()
    pending = [(module, cls)]
    while pending:
        here, found = pending.pop(0)
        if (here.name, found.name) in seen:
            continue
        seen.add((here.name, found.name))
        yield here.name, found
        for base in filter(None, found.bases):
            for step in meanings(code, here, base):
                there, name = python_module(code, step.module), ".".join(step.names)
                if there is not None and name in there.outline.classes:
                    pending.append((there, there.outline.classes[name]))
                elif f"{step.module}.{name}.".startswith("relup.runtime.") and step.names[-1] in _PYTHON:
                    yield _PYTHON[step.names[-1]]
