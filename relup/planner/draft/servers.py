"""What becomes of the states of a module's servers: whether code that makes or reads them changed, and what to do then.

Whether a state fits new code cannot be decided, but what a careful engineer would look at can be found: what `init`
returns, the entries that callbacks read and write, the classes whose instances are kept, and a `code_change` that
somebody wrote for this version. Where one of these differs, the state is taken to have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from relup.model.code import Code, PythonModule
from relup.model.draft import TODO
from relup.planner.code_changes import is_new
from relup.planner.draft.data import Data, data_of, in_words, made_elsewhere
from relup.planner.draft.scene import Scene
from relup.planner.draft.stub import stub
from relup.planner.resolution import python_module
from relup.planner.roles import Role, roles

_SHORT = 60
CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "terminate")


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
            reasons = (*_reasons(scene, old, role), *kept)
            if reasons:
                todos = tuple(_todos(scene, module, old, role, data))
                yield Verdict(tuple(f"{role.name}: {reason}" for reason in reasons), todos)


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


def state_keys(role: Role) -> frozenset[str]:
    """Return the entries and attributes of its state that a server's callbacks name."""
    return frozenset(k for name in CALLBACKS if (m := role.method(name)) for k in m.keys)


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
