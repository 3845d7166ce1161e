"""What the newer release's text says of a server's states: the class, the entries or the type that they begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from relup.model.code import Code
from relup.planner.draft.live.annotated import expected
from relup.planner.draft.live.kinds import Kind, class_of, kind_of
from relup.planner.resolution import python_module
from relup.planner.roles import Role
from relup.syntax.beginnings import Beginning, beginnings, contents
from relup.syntax.records import Field


@dataclass(frozen=True, slots=True)
class Begun:
    """The first states of a server, as far as its text tells; nothing is known when all of it is empty."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Classes of the release, by type."""
    entries: Mapping[str, Field] | None = None
    """Of a mapping."""
    types: frozenset[str] = frozenset()
    """Built-in types."""
    annotation: str = ""
    """Of a container with its elements."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Such annotations for entries of a mapping, where their elements are written out."""
    module: str = ""
    """Where that stands."""

    def known(self) -> bool:
        """Say whether anything is known."""
        return bool(self.kinds or self.entries is not None or self.types)


@dataclass(frozen=True, slots=True)
class States:
    """The states of one server class in two releases."""

    was: Begun
    now: Begun
    named: frozenset[str]
    """What the newer release's text names: entries among it are not dropped."""
    fresh: frozenset[str]
    """Entries that callbacks of the newer release name, and those of the older one do not."""


def begun(code: Code, role: Role) -> Begun:
    """Return how the states of a server begin in a release; what it inherits counts."""
    for module, cls in role.classes:
        text = code.text(module) or b""
        found, annotation = beginnings(text, cls.name), contents(text, cls.name)
        if found or annotation:
            known = _begun(code, module, found)
            more = (s.type for s in expected(code, module, annotation) if known.types and ":" not in s.type)
            held = {k: kind for b in found for k, kind in b.held.items()}
            whole = annotation or _written(found)
            return replace(known, types=known.types.union(more), annotation=whole, held=held, module=module)
    return Begun()


def _written(found: Sequence[Beginning]) -> str:
    """Return an annotation of states that are all written out."""
    return " | ".join(dict.fromkeys(b.contents or b.kind for b in found)) if all(b.kind for b in found) else ""


def _begun(code: Code, module: str, found: tuple[Beginning, ...]) -> Begun:
    here = python_module(code, module)
    kinds: dict[str, Kind] = {}
    entries: dict[str, Field] | None = None
    types: set[str] = set()
    for one in found:
        type_ = class_of(code, here, one.names) if here and one.names else None
        kind = kind_of(code, type_) if type_ else None
        if kind and kind.style == "typeddict":
            entries = {**(entries or {}), **kind.fields}
        elif kind and type_:
            kinds[type_] = kind
        elif one.entries is not None:
            new = {k: Field(k, "", v, f"{k!r}{f': {v}' if v else ''}") for k, v in one.entries.items()}
            entries = {**new, **(entries or {})}
        elif one.kind:
            types.add(one.kind)
        else:
            return Begun()  # made by something else: it may be anything
    return Begun(kinds, entries, frozenset(types))
