"""Is the set of modules closed, or does something outside it keep old objects for ever?

Names that imports bound are rebound by the swap. What was computed from them when a module was imported (a subclass, a
decorated function, a default, a value) is not, and with changed modules alone a third of real upgrades broke on it.
So every loaded module of the release outside the upgrade that uses a changing name at import time is a finding, and
so is every old object that a new body got hold of; a module found this way changes too, so those that use *it* early
are found as well. Modules that are not of the release cannot join an upgrade; theirs are said as notes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FunctionType

from relup.runtime.code.kinds import is_a
from relup.runtime.code.rebinding import Found, Importer, Origin, Question, find
from relup.runtime.code.source import Version
from relup.syntax.uses import Use


@dataclass(frozen=True, slots=True)
class Unclosed:
    """A module outside the upgrade that keeps something of the old code: the upgrade is not closed without it."""

    module: str
    line: int
    name: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.module} {self.reason} {self.name}"


def early(question: Question, names: Found, importers: Collection[Importer]) -> list[Unclosed]:
    """Return the early uses of changing *names* by *importers*, to a fixpoint, by module and line."""
    findings: list[Unclosed] = []
    while True:
        outside = [i for i in importers if i.name not in question.changing]
        fresh = [f for i in outside for f in _of(question, names, i)]
        if not fresh:
            return sorted(findings, key=lambda f: (f.module, f.line, f.name))
        findings += fresh
        question = replace(question, changing={*question.changing, *(f.module for f in fresh)})
        names = find(question, [i for i in outside if i.name not in question.changing])


def _of(question: Question, names: Found, importer: Importer) -> Iterator[Unclosed]:
    for use in importer.uses:
        if _leads(question, names, importer, use):
            yield Unclosed(importer.name, use.line, str(use), importer.path, "evaluates at import")


def _leads(question: Question, names: Found, importer: Importer, use: Use) -> bool:
    """Say whether a use leads to a changing module, or to a name that is rebound."""
    if use.path:
        written, _, attribute = use.path.partition(" ")
        module = _absolute(written, importer.package)
        return _changes(question, names, [*module.split("."), *([attribute] if attribute else [])])
    rebound = names.names.get((importer.name, use.names[0]))
    if rebound is not None and use.names[0] not in _modules_bound(importer):
        return question.differs(rebound.origin)
    for entry in importer.imports:
        if entry.key == use.names[0] and not entry.typing_only:
            base = entry.module(importer.package)
            dotted = [*base.split("."), *([entry.attribute] if entry.attribute else []), *use.names[1:]]
            if _changes(question, names, dotted):
                return True
    return False


def _modules_bound(importer: Importer) -> set[str]:
    """Return the names bound to modules: what is reached through them decides, not they themselves."""
    return {e.key for e in importer.imports if e.attribute is None}


def _changes(question: Question, names: Found, dotted: list[str]) -> bool:
    """Say whether the longest module that *dotted* begins with changes what is named there, or that is rebound."""
    for length in range(len(dotted), 0, -1):
        module = ".".join(dotted[:length])
        if module in question.modules or module in question.changing:
            name = dotted[length] if length < len(dotted) else None
            if module in question.changing:
                return question.differs(Origin(module, name))
            return name is not None and (module, name) in names.names
    return False


def _absolute(written: str, package: str) -> str:
    name = written.lstrip(".")
    level = len(written) - len(name)
    if not level:
        return name
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base


def held(versions: Mapping[str, Version], previous: Mapping[str, Version]) -> list[Unclosed]:
    """Return the old classes, functions and modules that new bodies bound or derived from."""
    old = {id(value): name for name, v in previous.items() for value in _defined(v)}
    old |= {id(v.module): name for name, v in previous.items()}
    return [
        Unclosed(
            name,
            line_of(version, key),
            key,
            version.source.path,
            f"got an old object of {old[item]}, from outside the upgrade, as",
        )
        for name, version in versions.items()
        for key, item in _kept(version, old)
    ]


def line_of(version: Version, name: str) -> int:
    """Return the line on which the text of a module first binds *name*, or the first name of a path; 0 without one."""
    first = re.escape(name.partition(".")[0])
    pattern = rf"^[ \t]*(?:(?:async[ \t]+)?(?:def|class)[ \t]+|(?:from|import)[ \t].*\b)?{first}\b".encode()
    found = re.search(pattern, version.source.text, re.MULTILINE)
    return version.source.text.count(b"\n", 0, found.end()) + 1 if found else 0


def _defined(version: Version) -> Iterator[object]:
    for value in version.namespace.values():
        if is_a(value, FunctionType):
            if value.__globals__ is version.namespace:
                yield value
        elif is_a(value, type) and value.__module__ == version.source.name:
            yield value


def _kept(version: Version, old: Mapping[int, str]) -> Iterator[tuple[str, int]]:
    for key, value in list(version.namespace.items()):
        if id(value) in old:
            yield key, id(value)
        elif id(type(value)) in old:
            yield key, id(type(value))
        elif is_a(value, type):
            yield from ((key, id(base)) for base in value.__mro__ if id(base) in old)
