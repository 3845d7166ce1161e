"""A whole `code_change`, drafted from the live states of one server class, or what the one that is there leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from relup.model.code import PythonModule
from relup.model.draft import TODO, LiveDraft
from relup.model.shapes import LiveStates, Shape, merged
from relup.planner.draft.live.begun import Begun, States, begun
from relup.planner.draft.live.branches import branch
from relup.planner.draft.live.cases import Case, case_of
from relup.planner.draft.live.fields import Finding
from relup.planner.draft.live.heirs import heirs
from relup.planner.draft.live.making import needed
from relup.planner.draft.live.values import Writer
from relup.planner.draft.live.words import summary
from relup.planner.draft.scene import Scene
from relup.planner.draft.state_keys import entries
from relup.planner.roles import Role
from relup.syntax.mentions import is_idle, mentioned
from relup.syntax.spoken import spoken

Branch: TypeAlias = tuple[str, Sequence[str] | None]
"""A condition, and the statements for the states that it holds for; None when they stay as they are."""
_RUNTIME = ("Down", "counterpart", "migrate")


def live_draft(scene: Scene, here: PythonModule, old: Role, new: Role, live: LiveStates) -> LiveDraft:
    """Return how the live states of a server fit the newer release, and what its `code_change` would be."""
    named = frozenset(n for m, _ in new.classes for n in spoken(scene.new.text(m) or b""))
    states = States(begun(scene.old, old), begun(scene.new, new), named, entries(new) - entries(old))
    cases = [(s, case_of(scene, s, states.now, sole=len(live.state) == 1)) for s in live.state]
    instances = _instances(live)
    gone = heirs(scene, (*instances, *(s.type for s in live.state)))
    write = partial(Writer, scene, here, instances=instances, states=live.state, heirs=gone)
    up, there = _written(partial(write, "up"), cases, states)
    if all(lines is None for _, lines in there):
        return LiveDraft(live, tuple(summary(live)))
    looked, found = tuple(summary(live)), tuple(f.said for f in up.findings)
    if new.method("code_change"):
        left = tuple(_unmentioned(scene, here, new, up.findings))
        return LiveDraft(live, looked, found, todos=left, answered=bool(found) and not left)
    retyped = frozenset(f.name for f in up.findings if f.said.startswith("~"))
    down, back = _written(partial(write, "down", retyped=retyped), cases, states)
    source = "\n".join(f"    {line}" if line else "" for line in _method(scene, up, down, there, back))
    head = f"{TODO}: {new.name} in {here.name} has no code_change; answer each {TODO} in this one, and add it:"
    return LiveDraft(live, looked, found, source, (head, *source.splitlines()))


def _written(
    make: Callable[..., Writer], cases: Sequence[tuple[Shape, Case]], states: States, *, grows: bool = False
) -> tuple[Writer, Sequence[Branch]]:
    """Return the branches of one direction, and who wrote them: anew, where what is filled later must be known."""
    w = make(grows=grows)
    found = [(_test(w, s, case, states.now), branch(w, s, case, states)) for s, case in cases]
    return _written(make, cases, states, grows=True) if w.entangled() and not grows else (w, found)


def _instances(live: LiveStates) -> Mapping[str, Shape]:
    """Return what is live of each type inside of states; of large ones what is at several places may be shared."""
    inside = [part for s in live.state for part in _parts(s)]
    places = Counter(part.type for part in (*live.state, *inside)) if live.cut else {}
    return {s.type: replace(s, shared=s.shared or int(places.get(s.type, 0) > 1)) for s in merged(inside)}


def _parts(shape: Shape) -> Iterator[Shape]:
    """Yield everything that is live inside of values, at any depth."""
    for part in (*shape.items, *shape.keys, *(s for held in shape.fields.values() for s in held)):
        yield part
        yield from _parts(part)


def _test(w: Writer, shape: Shape, case: Case, now: Begun) -> str:
    """Return what tells states of a type, or on the way down those that came from them."""
    if w.way == "up":
        return w.test(shape, "state")
    if case in ("turned", "wrapped"):
        (kind,) = now.kinds.values()
        return f"type(state) is {w.name(kind, 'up')}"
    return "type(state) is dict" if case in ("entered", "mapped") else w.test(shape, "state")


# ── the text ───────────────────────────────────────────────────────────────────────────────────────────


def _method(scene: Scene, up: Writer, down: Writer, there: Sequence[Branch], back: Sequence[Branch]) -> Iterator[str]:
    newer, older = list(_returning(there)), list(_returning({test: (test, lines) for test, lines in back}.values()))
    functions = [line for w in (up, down) for lines in w.helpers.values() for line in (*lines, "")]
    text = "\n".join([*functions, *newer, *older])
    functions = [*needed(text), *functions]
    text = "\n".join([*functions, *newer, *older])
    yield from (f"# needs: {line}" for line in _imports(up, down, text))
    yield "def code_change(self, old_vsn, state, extra):"
    yield from (f"    {line}" if line else "" for line in functions)
    yield "    match old_vsn:"
    yield f"        case Down():  # back to {scene.before.vsn}"
    yield from (f"            {line}" for line in (*_lost(up), *_lacking(down), *older))
    yield "        case _:"
    yield from (f"            {line}" for line in (*_lacking(up), *newer))


def _returning(branches: Iterable[Branch]) -> Iterator[str]:
    found = [(test, lines if lines is not None else ["return state"]) for test, lines in branches]
    if len(found) == 1:
        yield from found[0][1]
        return
    for test, lines in found:
        yield f"if {test}:"
        yield from (f"    {line}" for line in lines)
    yield 'raise TypeError(f"no state of type {type(state).__qualname__} was live when this was drafted")'


def _lost(up: Writer) -> Iterator[str]:
    names = dict.fromkeys(f.name for f in up.findings if f.said.startswith("+"))
    if names:
        yield f"# lost on the way down, unless something takes it over: {', '.join(names)}"
    if fresh := dict.fromkeys(f.name for f in up.findings if f.said.startswith("*")):
        yield f"# what has no way back: {', '.join(fresh)}"


def _lacking(w: Writer) -> Iterator[str]:
    return (f"# {TODO}: {question}" for question in w.lacking)


def _imports(up: Writer, down: Writer, text: str) -> Iterator[str]:
    bound = up.here.outline.names
    wanted = [n for n in _RUNTIME if (n == "Down" or f"{n}(" in text) and n not in bound]
    if wanted:
        yield f"from relup.runtime import {', '.join(wanted)}"
    yield from dict.fromkeys((*up.imports, *down.imports))


# ── a code_change that is there ────────────────────────────────────────────────────────────────────────


def _unmentioned(scene: Scene, here: PythonModule, new: Role, findings: Iterable[Finding]) -> Iterator[str]:
    """Ask about what was found and what the class' own `code_change` does not name."""
    module, cls = next((m, c) for m, c in new.classes if "code_change" in c.methods)
    text = scene.new.text(module) or b""
    names = frozenset[str]() if is_idle(text, cls.name) else mentioned(text, cls.name)
    left = [f for f in findings if f.name not in names and (f.asks or "migrate" not in names)]
    if left:
        where = f"{module}, line {cls.methods['code_change'].line}"
        yield f"{TODO}: the code_change of {new.name} in {here.name} ({where}) does not mention:"
        yield from (f"  {f.said}" for f in left)
