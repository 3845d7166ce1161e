"""Classes of a release with all of their fields, those that they inherit within the release too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from relup.model.code import Code, PythonModule
from relup.planner.resolution import Names, meanings, python_module
from relup.syntax.outline import Class
from relup.syntax.records import Field, Record, Style, records

_ENUMS: Mapping[str, Literal["enum", "flag"]] = {
    "Enum": "enum",
    "IntEnum": "enum",
    "StrEnum": "enum",
    "Flag": "flag",
    "IntFlag": "flag",
}


_CONTAINERS = frozenset({"dict", "list", "set", "frozenset", "tuple", "OrderedDict", "Counter", "defaultdict", "deque"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A class, and what its instances consist of."""

    module: str
    name: str
    style: Style
    fields: Mapping[str, Field]
    bases: frozenset[str]
    """It and what it derives from, as `module:Class`."""
    enum: Literal["enum", "flag"] | None
    frozen: bool
    """Whether nothing is assigned to its instances once they are made."""
    members: tuple[str, ...] = ()
    """Of an enum."""
    contains: str = ""
    """The container of Python's own that it derives from."""
    open: bool = False
    """Whether its instances take any attribute, and nothing says which they have."""
    begins: bool = False
    """Whether it has an `__init__` or a `__new__` that somebody wrote."""

    @property
    def type(self) -> str:
        """What its instances have as their type."""
        return f"{self.module}:{self.name}"


def kind_of(code: Code, type_: str) -> Kind | None:
    """Return the class that a type of live values, `module:Class`, is in a release; None where it has none."""
    module, _, name = type_.rpartition(":")
    here = python_module(code, module) if module else None
    if here is None or name not in here.outline.classes:
        return None
    lineage = list(_lineage(code, here, here.outline.classes[name]))
    known = [(c, _record(code, m, c)) for m, c in lineage]
    style: Style = next((r.style for _, r in known if r.style != "plain"), "plain")
    fields: dict[str, Field] = {}
    for _, record in reversed(known):
        if record.style == "plain" and style in ("dataclass", "attrs"):
            continue  # a class that nothing decorates adds no field
        fields |= {f.name: f for f in record.fields}
    bases = frozenset(f"{m.name}:{c.name}" for m, c in lineage)
    enum = next((_ENUMS[b[-1]] for _, c in lineage for b in c.bases if b[-1:] and b[-1] in _ENUMS), None)
    frozen = style == "tuple" or any(r.frozen for _, r in known)
    members = tuple(n for _, r in known for n in r.assigns if n[0] != "_") if enum else ()
    contains = next((b[-1] for _, c in lineage for b in c.bases if b[-1:] and b[-1] in _CONTAINERS), "")
    takes_any = style == "plain" and not all("__slots__" in r.assigns for _, r in known)
    begins = any(not {"__init__", "__new__"}.isdisjoint(c.methods) for _, c in lineage)
    return Kind(module, name, style, fields, bases, enum, frozen, members, contains, takes_any, begins)


def _record(code: Code, module: PythonModule, cls: Class) -> Record:
    return records(code.text(module.name) or b"").get(cls.name, Record("plain", ()))


def _lineage(code: Code, module: PythonModule, cls: Class) -> Iterator[tuple[PythonModule, Class]]:
    """Yield the class and its bases in the release, the nearest first."""
    seen: set[tuple[str, str]] = set()
    pending = [(module, cls)]
    while pending:
        here, found = pending.pop(0)
        if (here.name, found.name) not in seen:
            seen.add((here.name, found.name))
            yield here, found
            pending += [c for base in found.bases if base for c in _meant(code, here, base)]


def _meant(code: Code, here: PythonModule, names: Names) -> Iterator[tuple[PythonModule, Class]]:
    for step in meanings(code, here, names):
        there = python_module(code, step.module)
        if there and (cls := there.outline.classes.get(".".join(step.names))):
            yield there, cls


def class_of(code: Code, here: PythonModule, names: Names) -> str | None:
    """Return the class that a dotted name in a module means, or begins with: `Cart`, `Cart.empty`."""
    for length in range(len(names), 0, -1):
        if found := next(_meant(code, here, names[:length]), None):
            return f"{found[0].name}:{found[1].name}"
    return None


def called_there(code: Code, here: PythonModule, kind: Kind) -> tuple[str, str | None]:
    """Return what a class is called in the module *here*, and the import that this needs, if one is missing."""
    if kind.module == here.name:
        return kind.name, None
    top, dot, rest = kind.name.partition(".")
    for entry in here.outline.imports:
        for names in ((entry.key,), (entry.key, top)):
            if any((s.module, s.names) == (kind.module, (top,)) for s in meanings(code, here, names)):
                return f"{'.'.join(names)}{dot}{rest}", None
    if top in here.outline.names:
        return f"{kind.module}.{kind.name}", f"import {kind.module}"
    return kind.name, f"from {kind.module} import {top}"
