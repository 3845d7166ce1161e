"""Mappings that stay mappings: entries that come, go, or hold instances of classes that are loaded anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from relup.model.draft import TODO
from relup.model.shapes import Shape
from relup.planner.draft.live.begun import Begun, States
from relup.planner.draft.live.fields import Given, Had, had, lines
from relup.planner.draft.live.fitting import astray
from relup.planner.draft.live.values import Writer
from relup.syntax.records import Field


def mapping(w: Writer, shape: Shape, states: States) -> list[str] | None:
    """Return the statements for mappings; None when they stay as they are."""
    live = {n: Had(n, _kind(states.was, n), held) for n, held in shape.fields.items()}
    newer = {f.name: _with_elements(w, f, live.get(f.name), states) for f in _newer(live, states)}
    reads = {n: f"state[{n!r}]" for n in (*live, *newer)}
    if w.way == "up":
        given = w.compared(None, [*live.values()], [*newer.values()], reads, shape)
        gone = [n for n in live if n not in newer]
        part = [Given(n, f.default) for n, f in newer.items() if n in live and f.default and _in_part(shape, n)]
        return _text(gone, [*part, *_begun(given)], *_rest(w, shape, given))
    has = [had(f, shape.fields.get(n, ())) for n, f in newer.items()]
    before = states.was.entries or {}
    given = w.compared(None, has, [before.get(n, _named(n)) for n in live], reads, shape)
    return _text([n for n in newer if n not in live], [*_begun(given)], *_rest(w, shape, given))


def _newer(live: Collection[str], states: States) -> Iterator[Field]:
    """Yield the entries of states of the newer release: those that they begin with, and live ones that it names."""
    begun = states.now.entries
    if begun is None:
        yield from (_named(n) for n in sorted(states.fresh.difference(live)))
        yield from map(_named, live)
    else:
        yield from begun.values()
        yield from (_named(n) for n in live if n not in begun and n in states.named)


def _with_elements(w: Writer, field: Field, live: Had | None, states: States) -> Field:
    """Return an entry with the type that its elements are written out with, where live ones are others."""
    was, now = states.was.held.get(field.name, ""), states.now.held.get(field.name, "")
    old, new = w.resolve(w.scene.old, states.was.module), w.resolve(w.scene.new, states.now.module)
    others = live is not None and not field.kind and astray(live.held, was, old, now, new)
    return field._replace(kind=now) if others else field


def _named(name: str) -> Field:
    """Return an entry of which nothing is known."""
    return Field(name, "", None, repr(name))


def _kind(begun: Begun, name: str) -> str:
    return begun.entries[name].kind if begun.entries and name in begun.entries else ""


def _in_part(shape: Shape, name: str) -> bool:
    return sum(s.count for s in shape.fields[name]) < shape.looked


def _guarded(shape: Shape, given: Sequence[Given]) -> list[Given]:
    """Return what is given; what is made of an entry that only some states have, only where it is."""
    return [
        Given("", f"({{{g.name!r}: {g.value}}} if {g.name!r} in state else {{}})")
        if not g.said and g.name in shape.fields and _in_part(shape, g.name)
        else g
        for g in given
    ]


def _begun(given: Sequence[Given]) -> Iterator[Given]:
    """Yield the entries that begin with a constant: where a state has such an entry already, it keeps it."""
    yield from (g for g in given if g.said and g.value != TODO)


def _rest(w: Writer, shape: Shape, all_: Sequence[Given]) -> tuple[str, list[Given]]:
    """Return what the state is but for what is given or begun: a mapping by data is turned as a whole."""
    given = [g for g in all_ if not g.said or g.value == TODO]
    whole = w.value([shape], "state") if shape.items or shape.keys else None
    if whole is None:
        return "state", _guarded(shape, given)
    return whole, [g for g in given if g.said or g.name not in shape.fields]


def _text(gone: Sequence[str], part: Sequence[Given], base: str, given: Sequence[Given]) -> list[str] | None:
    if not (gone or part or given or base != "state"):
        return None
    names = ", ".join(map(repr, gone))
    rest = f"{{k: v for k, v in {base}.items() if k not in {{{names}}}}}" if gone else base
    if not part and not given:
        return [f"return {rest}"]
    return ["return {", *lines(part), f"    **{rest},", *lines(given), "}"]
