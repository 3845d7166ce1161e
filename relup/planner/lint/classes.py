"""What the modules and classes of one release are, as rules ask for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from relup.model.code import BeamModule, PythonModule
from relup.model.release import Release
from relup.planner.behaviours import Behaviour
from relup.planner.lint.sought import Sought
from relup.planner.resolution import Step, meanings, python_module
from relup.planner.roles import Role, roles
from relup.syntax.outline import Class, Method

_LIBRARY = frozenset({*sys.stdlib_module_names, "relup"})


class Place(NamedTuple):
    """A class or a function of a module of the release, by its qualified name."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of one release; what a module is, is found out once."""

    release: Release
    _roles: dict[str, tuple[Role, ...]] = field(default_factory=dict, repr=False)

    def module(self, name: str) -> PythonModule | None:
        """Return a module of a Python release, None when nothing is known of it."""
        return python_module(self.release.code, name)

    def beam(self, name: str) -> BeamModule | None:
        """Return a module of a BEAM release, None when nothing is known of it."""
        found = self.release.code.module(name) if self.release.kind == "beam" else None
        return found if isinstance(found, BeamModule) else None

    def text(self, name: str) -> bytes:
        """Return the text of a Python module; nothing when there is none."""
        return self.release.code.text(name) or b""

    def mentions(self, module: str, modules: Sought) -> bool:
        """Say whether the text of a module may name one of *modules*."""
        return modules.may_be_in(self.release.code.text(module))

    def modules(self) -> Iterator[str]:
        """Yield the modules of the release, in the order of its applications."""
        return (m for a in self.release.applications for m in a.modules)

    def roles(self, module: str, *behaviours: Behaviour) -> tuple[Role, ...]:
        """Return what a module is, as far as that is one of *behaviours*."""
        if module not in self._roles:
            code = self.release.code
            text = code.text(module)  # most modules of a release define no class, and need not be parsed to know it
            self._roles[module] = roles(code, code.module(module)) if text is None or b"class " in text else ()
        return tuple(r for r in self._roles[module] if r.behaviour in behaviours)

    def of(self, module: str, *behaviours: Behaviour) -> Iterator[Class]:
        """Yield the classes of a Python module that have one of these behaviours, in the order of the text."""
        return (role.classes[0][1] for role in self.roles(module, *behaviours) if role.classes)

    def find(self, place: Place) -> Class | None:
        """Return a class of the release."""
        module = self.module(place.module)
        return module.outline.classes.get(place.name) if module else None

    def method(self, place: Place, name: str) -> tuple[Place, Method] | None:
        """Return a method that a server has or inherits in the release, and the class that it stands in."""
        for role in self.roles(place.module, "server"):
            if role.name == place.name:
                return next(((Place(m, c.name), c.methods[name]) for m, c in role.classes if name in c.methods), None)
        return None

    def resolve(self, module: str, names: tuple[str, ...]) -> Place | None:
        """Return the class or function of the release that a dotted name means in a module."""
        for step in self._meanings(module, names):
            here = self.module(step.module)
            if here and step.names and step.names[0] in here.outline.classes.keys() | here.outline.functions.keys():
                return Place(step.module, ".".join(step.names))
        return None

    def is_enum(self, place: Place) -> bool:
        """Say whether a class is an enumeration."""
        cls = self.find(place)
        bases = [s for base in (cls.bases if cls else ()) for s in self._meanings(place.module, base)]
        return any(s.module == "enum" for s in bases) or any(
            self.is_enum(Place(s.module, ".".join(s.names))) for s in bases if s.module != place.module
        )

    def is_foreign(self, module: str) -> bool:
        """Say whether a class of the module has a base of a library that is neither the release's nor Python's own."""
        found = self.module(module)
        bases = (base for cls in (found.outline.classes.values() if found else ()) for base in cls.bases)
        ends = (step.module for base in bases for step in self._meanings(module, base))
        return any(not self.module(m) and m.partition(".")[0] not in _LIBRARY for m in ends)

    def _meanings(self, module: str, names: tuple[str, ...]) -> Iterator[Step]:
        here = self.module(module)
        return meanings(self.release.code, here, names) if here and names else iter(())
