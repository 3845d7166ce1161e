"""What becomes of the states of a module's servers: whether code that makes or reads them changed, and what to do then.

Whether a state fits new code cannot be decided, but what a careful engineer would look at can be found: what `init`
returns, the entries that callbacks read and write, the classes whose instances are kept, and a `code_change` that
somebody wrote for this version. Where one of these differs, the state is taken to have changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from relup.model.code import Code, PythonModule
from relup.model.draft import TODO, LiveDraft
from relup.model.release import Release
from relup.model.shapes import LiveStates
from relup.planner.code_changes import is_new
from relup.planner.draft.data import Data, data_of, in_words, made_elsewhere
from relup.planner.draft.live.method import live_draft
from relup.planner.draft.live.words import summary
from relup.planner.draft.members import hosting
from relup.planner.draft.scene import Scene
from relup.planner.draft.state_keys import state_keys
from relup.planner.draft.stub import stub
from relup.planner.resolution import python_module
from relup.planner.roles import Role, roles

_SHORT = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the states of one server class are taken to change, and what remains to be done about it."""

    reasons: tuple[str, ...]
    todos: tuple[str, ...]


def servers(code: Code, name: str) -> tuple[Role, ...]:
    """Return the server classes of a module."""
    return tuple(r for r in roles(code, code.module(name)) if r.behaviour == "server")


def verdicts(scene: Scene, name: str) -> Iterator[Verdict]:
    """Yield one verdict for each server class of a module whose states change."""
    module = python_module(scene.new, name)
    before = {r.name: r for r in servers(scene.old, name)}
    for role in servers(scene.new, name) if module else ():
        old = before.get(role.name)
        if module is not None and old is not None:
            data = data_of(scene, module, role)
            kept = (*(in_words(scene, *d) for d in data), *dict.fromkeys(made_elsewhere(scene, role)))
            seen = live(scene, module, old, role)
            found = (*seen.looked, *seen.said()) if seen and seen.findings else ()
            reasons = (*_reasons(scene, old, role), *kept, *found)
            if reasons:
                drafted = seen is not None and seen.source is not None
                asked = () if drafted else _todos(scene, module, old, role, data)
                todos = (*(seen.todos if seen else ()), *asked)
                yield Verdict(tuple(f"{role.name}: {reason}" for reason in reasons), todos)


def live(scene: Scene, module: PythonModule, old: Role, new: Role) -> LiveDraft | None:
    """Return what the live states of a server class say; None where none were looked at."""
    states = next((s for s in scene.live if (s.module, s.server) == (module.name, new.name)), None)
    return live_draft(scene, module, old, new, states) if states else None


def unseen(scene: Scene, name: str) -> Iterator[str]:
    """Say of which servers of a module a node was asked about, and nothing was looked at."""
    stay = {r.name for r in servers(scene.new, name)}
    blank = (s for s in scene.live if s.module == name and s.server in stay and not s.looked)
    yield from (f"{states.server}: {line}" for states in blank for line in summary(states))


def every_server(release: Release, live: Sequence[LiveStates]) -> tuple[LiveStates, ...]:
    """Return what a node that runs *release* told, with an empty entry for each server class without a process."""
    there = {(s.module, s.server) for s in live}
    all_ = ((m, r.name) for m in hosting(release) for r in servers(release.code, m))
    blank = (LiveStates(*of, processes=0, looked=0) for of in all_ if of not in there)
    return tuple(sorted((*live, *blank), key=lambda s: (s.module, s.server)))


def of_live(scene: Scene, modules: Collection[str]) -> Iterator[LiveDraft]:
    """Yield what the live states of the servers in some modules say, also of those that have none."""
    for states in scene.live:
        module = python_module(scene.new, states.module)
        old = next((r for r in servers(scene.old, states.module) if r.name == states.server), None)
        new = next((r for r in servers(scene.new, states.module) if r.name == states.server), None)
        if states.module not in modules:
            continue
        if module is None or old is None or new is None:
            if states.processes:
                yield LiveDraft(states, findings=(f"{states.server} is no server of {scene.after} any more",))
        else:
            yield live_draft(scene, module, old, new, states)


def _reasons(scene: Scene, old: Role, new: Role) -> Iterator[str]:
    if is_new(old, new, scene.difference):
        yield f"its code_change {'is new' if old.method('code_change') is None else 'changed'}"
    begun, begins = old.method("init"), new.method("init")
    if begun and begins and begun.first != begins.first:
        later, earlier = _apart(" or ".join(begins.first), " or ".join(begun.first))
        yield f"init returns {later}, before {earlier}"
    was, now = state_keys(old), state_keys(new)
    words = (("its state has", sorted(now - was)), ("its state no longer has", sorted(was - now)))
    yield from (f"{word} {', '.join(keys)}" for word, keys in words if keys)


def _apart(one: str, two: str) -> tuple[str, str]:
    """Return two texts, long ones cut so that the place where they differ can be seen."""
    same = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = max(0, same - 20) if max(len(one), len(two)) > _SHORT else 0
    return _cut(one, start), _cut(two, start)


def _cut(text: str, start: int) -> str:
    end = start + _SHORT
    return f"{'...' if start else ''}{text[start:end] or 'nothing'}{'...' if len(text) > end else ''}"


def _todos(scene: Scene, module: PythonModule, old: Role, new: Role, data: tuple[Data, ...]) -> Iterator[str]:
    method, where = new.method("code_change"), f"{new.name} in {module.name}"
    if method is None:
        yield f"{TODO}: {where} has no code_change; review this one, and add it to the class:"
        yield from stub(state_keys(old), state_keys(new), scene.old_vsn(module.name), [cls.name for _, cls in data])
        return
    its = f"the code_change of {where} (line {method.line})"
    if not is_new(old, new, scene.difference):
        yield f"{TODO}: {its} is that of {scene.old_vsn(module.name)}: does it take over these states?"
    if not any(n[-1] in ("Down", "counterpart") for n in method.names):
        yield f"{TODO}: {its} does not look for Down: what becomes of the states on the way down?"
    if method.extra:
        wanted = ", ".join(f"extra{e}" for e in method.extra)
        yield f"{TODO}: {its} reads {wanted}: say what that is, as change: {{advanced: ...}}, in both lists"
