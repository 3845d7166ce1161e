"""How a plan came about, in words: each pass that changed the script, and why each module stands where it stands.

A script of thousands is shortened, never silently: what a pass changed is shown before what it left alone, and
what is left out is counted. The same facts as data are whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from relup.diagnostics import Location
from relup.model.explanation import (
    After,
    Explanation,
    Free,
    Mark,
    OrderedComponent,
    OrderedModule,
    Pass,
    Reason,
    Source,
    Tie,
)
from relup.model.instructions import (
    DeleteModule,
    Direction,
    Instruction,
    LoadModule,
    LoadObjectCode,
    RestartEmulator,
    RestartNewEmulator,
    StateFunction,
    SupervisorChange,
    Update,
)
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.shortened import shortened
from relup.planner.names import keyword

_SIGNS: dict[Mark, str] = {"kept": " ", "new": "+", "moved": "~"}
_ALIGNED, _WIDEST = 72, 160
"""How far the places of instructions are aligned, and where the words of one are cut off."""

_PASSES = {
    "cut": "what may fail without any effect stands before point_of_no_return",
    "expand": "instructions about applications became instructions about their modules",
    "order": "modules that depend on each other stand together, dependents first",
    "lower": "each component became load_object_code, and after point_of_no_return suspend, load, code_change, resume",
    "merge": "code is fetched once for each application, and restarts stand where they must",
}

_LEGEND: dict[Direction, tuple[str, ...]] = {
    "up": (
        "modules: the first of a component is suspended first and resumed last",
        "  up, what others depend on is loaded first; states change after the loads, by the code that was loaded",
    ),
    "down": (
        "modules: the first of a component is suspended first and resumed last",
        "  down, dependents are loaded first; states change before the loads (dynamic: by the code that is left,",
        "  which knows both versions) or after them (static: by the code that comes)",
    ),
}


def explain_lines(explanation: Explanation, most: int = 100) -> Iterator[str]:
    """Say how a plan came about; of each script and of the modules at most *most* lines are shown."""
    yield f"how {explanation.relup} ({explanation.relup.direction}) came about; + is new, ~ has moved"
    yield ""
    yield "collect: the scripts of all applications"
    yield from _source_lines(explanation, most)
    for found in explanation.passes:
        yield ""
        yield f"{found.name}: {_sentence(found, explanation)}{_counts(found)}"
        yield from (f"  {note}" for note in _notes(found, explanation))
        yield from _script_lines(found.script, found.marks, most)
    if explanation.components:
        yield ""
        yield from _LEGEND[explanation.relup.direction]
        yield from _component_lines(explanation, most)


# ── scripts ────────────────────────────────────────────────────────────────────────────────────────────


def _source_lines(explanation: Explanation, most: int) -> Iterator[str]:
    if not explanation.sources:
        yield "  none: no application changed"
    first = 1
    for number, source in enumerate(explanation.sources):
        if first > most:
            yield f"  … {len(explanation.sources) - number:,} more"
            return
        yield f"  {_origin(source, explanation)}"
        marks: list[Mark] = ["kept"] * len(source.instructions)
        yield from _script_lines(source.instructions, marks, most - first + 1, first)
        first += len(source.instructions)


def _origin(source: Source, explanation: Explanation) -> str:
    base, goal, direction = explanation.relup.base, explanation.relup.goal, explanation.relup.direction
    name, place = source.application or "", _place(source.location)
    match source.origin:
        case "entry":
            return f"{name} {_vsn(base, name)} → {_vsn(goal, name)}: its {direction} list{place}"
        case "inverse":
            other = "down" if direction == "up" else "up"
            return f"{name} {_vsn(base, name)} → {_vsn(goal, name)}: the inverse of its {other} list{place}"
        case "new":
            return f"{name} {_vsn(goal, name)}: added, as {base} does not have it{place}"
        case "gone":
            return f"{name} {_vsn(base, name)}: removed, as {goal} does not have it{place}"
        case "erts":
            return f"ERTS changes from {base.erts or 'none'} to {goal.erts or 'none'}{place}"
        case "asked":
            return "a restart of the emulator was asked for"
        case _:
            assert_never(source.origin)


def _vsn(release: Release, name: str) -> str:
    application = release.application(name)
    return application.vsn if application else ""


def _sentence(found: Pass, explanation: Explanation) -> str:
    if found.name == "lower" and not explanation.components:
        return "everything comes after point_of_no_return"
    return _PASSES[found.name]


def _counts(found: Pass) -> str:
    counts = {"new": found.marks.count("new"), "moved": found.marks.count("moved"), "gone": found.gone}
    return f" ({', '.join(f'{count:,} {what}' for what, count in counts.items() if count)})"


def _notes(found: Pass, explanation: Explanation) -> Iterator[str]:
    """Say why what stands first or last stands there."""
    if found.name in ("cut", "merge") and any(isinstance(i, LoadObjectCode) for i in found.script):
        yield "load_object_code stands before point_of_no_return: nothing after that may fail for want of a file"
    if found.name == "merge":
        yield from _restart_notes(found.script, explanation)


def _restart_notes(script: Sequence[Instruction], explanation: Explanation) -> Iterator[str]:
    if isinstance(script[0], RestartNewEmulator):
        yield "restart_new_emulator stands first: everything else is done in the new emulator"
    match script[-1]:
        case RestartNewEmulator():
            yield "restart_new_emulator stands last: a release handler from before R15 cannot do it first"
        case RestartEmulator():
            yield "restart_emulator stands last: everything else is done before the node restarts"
            if explanation.relup.direction == "down" and _asks_for_new_emulator(explanation):
                yield "restart_new_emulator became restart_emulator: on the way down the node restarts last, and once"
        case _:
            pass


def _asks_for_new_emulator(explanation: Explanation) -> bool:
    return any(isinstance(i, RestartNewEmulator) for s in explanation.sources for i in s.instructions)


def _script_lines(script: Sequence[Instruction], marks: Sequence[Mark], most: int, first: int = 1) -> Iterator[str]:
    """Yield the lines of a script, of a longer one those that changed; what is left out is counted."""
    shown: Sequence[int] = range(len(script))
    if len(script) > most:
        shown = [n for n in shown if marks[n] != "kept"][:most] or shown[:most]
    words = {n: _cut(describe(script[n])) for n in shown}
    width = min(max(map(len, words.values()), default=0), _ALIGNED)
    before = -1
    for n in shown:
        yield from _left_out(n - before - 1)
        yield f"{first + n:6} {_SIGNS[marks[n]]} {words[n]:{width}} {_place(script[n].location)}".rstrip()
        before = n
    yield from _left_out(len(script) - before - 1)


def _cut(words: str) -> str:
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"


def _left_out(count: int) -> Iterator[str]:
    if count:
        yield f"         … {count:,} more"


def _place(location: Location | None) -> str:
    return f" ({location.file}:{location.line})" if location else ""


# ── modules ────────────────────────────────────────────────────────────────────────────────────────────


def _component_lines(explanation: Explanation, most: int) -> Iterator[str]:
    total = sum(len(c.modules) for c in explanation.components)
    loaded = sum(m.loaded is not None for c in explanation.components for m in c.modules)
    said = 0
    for number, component in enumerate(explanation.components):
        if said >= most:
            yield f"… {total - said:,} more modules in {len(explanation.components) - number:,} more components"
            return
        yield from _component(component, most - said, loaded)
        said += len(component.modules)


def _component(component: OrderedComponent, most: int, total: int) -> Iterator[str]:
    first = component.first
    place = _place(first.location)
    if len(component.modules) == 1:
        facts = _facts(component.modules[0], total)
        yield f"component {component.number}, {first.module} alone: {facts}; stands as written{place}"
        return
    what = f"{keyword(first)} {first.module}"
    count = f"{len(component.modules):,} modules"
    yield f"component {component.number}, {count}: stands where the first of them was written, {what}{place}"
    for module in component.modules[:most]:
        yield f"{module.rank:6}. {module.instruction.module}: {_facts(module, total)}"
        yield f"        {'; '.join(_because(module, component))}"
    yield from _left_out(len(component.modules) - most if len(component.modules) > most else 0)


def _facts(module: OrderedModule, total: int) -> str:
    i = module.instruction
    loaded = "removed" if isinstance(i, DeleteModule) else "loaded"
    facts = [keyword(i), f"{loaded} {module.loaded:,} of {total:,}" if module.loaded else "its code stays"]
    match i:
        case Update(migrate=StateFunction(home, function), mod_type=mod_type):
            facts.append(f"migrated by {home}:{function} {module.code_change} the loads ({mod_type})")
        case Update(change=change, mod_type=mod_type) if module.code_change:
            kind = "supervisor, static" if isinstance(change, SupervisorChange) else mod_type
            facts.append(f"code_change {module.code_change} the loads ({kind})")
        case Update():
            facts.append("no code_change (soft)")
        case LoadModule():
            facts.append("nobody is suspended for it")
        case _:
            pass
    match i:
        case Update(keep=keep, instances=instances) | LoadModule(keep=keep, instances=instances):
            facts += [f"keeps {shortened(keep)}"] if keep else []
            classes = tuple(m.cls for m in instances)
            facts += [f"migrates instances of {shortened(classes)}"] if classes else []
        case _:
            pass
    return ", ".join(facts)


def _because(module: OrderedModule, component: OrderedComponent) -> Iterator[str]:
    name = module.instruction.module
    circle = component.circles[module.circle] if module.circle is not None else ()
    for reason in module.reasons:
        yield _words(reason, name, bool(circle))
    if circle:
        yield f"in a circle with {shortened([m for m in circle if m != name])}: kept as written"


def _words(reason: Reason, name: str, in_circle: bool) -> str:
    match reason:
        case Free():
            return "nothing outside its circle depends on it" if in_circle else "nothing depends on it"
        case After(dependent, on, location):
            return f"after {dependent}, which depends on {'it' if on == name else on}{_place(location)}"
        case Tie(first, second, by):
            order = f"after {first}" if second == name else f"{first} before {second}"
            return f"{order}, no dependency between them: {'as written' if by == 'written' else 'by rank'}"
        case _:
            assert_never(reason)
