"""What a `code_change` returns for states of one type, in one direction; what cannot be known is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from relup.model.draft import TODO
from relup.model.shapes import Shape, type_label
from relup.planner.draft.live.annotated import recast
from relup.planner.draft.live.begun import States
from relup.planner.draft.live.cases import Case
from relup.planner.draft.live.fields import Finding, Given, Had, constant_type, had, lines
from relup.planner.draft.live.fitting import astray, in_words, misfits
from relup.planner.draft.live.kinds import Kind, kind_of
from relup.planner.draft.live.making import call, returning
from relup.planner.draft.live.mappings import mapping
from relup.planner.draft.live.values import Writer
from relup.syntax.records import Field


def branch(w: Writer, shape: Shape, case: Case, states: States) -> list[str] | None:
    """Return the statements for states of one type; None when they stay as they are."""
    if case in ("entries", "value") and (contents := _contents(w, shape, states)):
        return contents
    match case:
        case "instance":
            return _instance(w, shape)
        case "entries":
            return mapping(w, shape, states)
        case "turned" | "wrapped":
            (kind,) = states.now.kinds.values()
            if w.way == "down":
                return _turned_back(w, shape, kind)
            words = f"? live states are {in_words(shape)}, and begin as {kind.name} in {w.scene.after.vsn}"
            w.ask(Finding(kind.name, words, asks=True))
            return _turned(w, shape, kind) if case == "turned" else _wrapped(w, shape, kind)
        case "mapped":
            entries = states.now.entries or {}
            return _mapped_back(w, shape, entries) if w.way == "down" else _mapped(w, shape, entries)
        case "entered":
            return _entered(w, shape, states.now.entries or {})
        case "unknown":
            words = f"? live states are {in_words(shape)}, and do not begin so in {w.scene.after.vsn}"
            w.ask(Finding("state", words, asks=True))
            asked = "what becomes of" if w.way == "up" else "what leads back to"
            return [f"# {TODO}: {asked} a state of {w.scene.before.vsn}, {in_words(shape)}?", f"return {TODO}"]
        case "value":
            text = w.value([shape], "state")
            return [f"return {text}"] if text else None


def _contents(w: Writer, shape: Shape, states: States) -> list[str]:
    """Ask what becomes of a container whose elements are not those that the newer release's text says."""
    now, new = states.now.annotation, states.now.module
    of_old, of_new = w.resolve(w.scene.old, states.was.module), w.resolve(w.scene.new, new)
    if not astray([shape], states.was.annotation, of_old, now, of_new):
        return []
    name = [n for n in re.findall(r"\w+", now) if n != "None"][-1]  # what a code_change that makes these mentions
    w.ask(Finding(name, f"? live states are {in_words(shape)}, and begin as {now} in {w.scene.after.vsn}", asks=True))
    held = w.rows(now, new, [shape])
    cast = recast(held, now) if w.way == "up" else None
    text = w.value(cast[1] if cast else held, "state")
    asked = f"is it {text}?" if text else "how is it made of state?"
    if w.way == "down":
        return [f"# {TODO}: the state of {w.scene.before.vsn} was {in_words(shape)}: {asked}", f"return {TODO}"]
    return [f"# {TODO}: a state is {now} here, and live ones are {in_words(shape)}: {asked}", f"return {TODO}"]


def _instance(w: Writer, shape: Shape) -> list[str] | None:
    kind = kind_of(w.scene.new, shape.type)
    if kind is None or kind.enum or kind.contains:
        text = w.value([shape], "state")
        return [f"return {text}"] if text else None
    given = w.given(w.everywhere(shape), kind_of(w.scene.old, shape.type), kind, "state")
    if shape.type in w.helpers:  # it leads to others of its own
        return [f"return {w.value([shape], 'state')}"]
    loaded = kind.module in w.scene.loaded
    if loaded:
        label = type_label(shape.type)
        w.ask(Finding(label, f"{shape.count} live states are {label} of {kind.module}, which is loaded anew"))
    return returning(("state", w.name(kind, w.way)), given, w.left(shape, kind)) if given or loaded else None


# ── states that become something else ──────────────────────────────────────────────────────────────────


def _reads(shape: Shape) -> Mapping[str, str]:
    return {n: f"state.{n}" for n in shape.fields}


def _turned(w: Writer, shape: Shape, kind: Kind) -> list[str]:
    label = type_label(shape.type)
    said = f"# {TODO}: a state was {label}; is {kind.name} what it becomes? then state, not {TODO}(state)"
    if shape.type == "dict":
        return [said, *w.instance(shape, kind, "state", f"{TODO}(state)")]
    has = [Had(n, "", held) for n, held in shape.fields.items()]
    given = w.compared(kind, has, [*kind.fields.values()], _reads(shape), shape)
    return [said, *call("return migrate", (f"{TODO}(state)", w.name(kind, "up")), given)]


def _mapped(w: Writer, shape: Shape, entries: Mapping[str, Field]) -> list[str]:
    label, before = type_label(shape.type), kind_of(w.scene.old, shape.type)
    words = f"? live states are {label}, and begin with {', '.join(map(repr, entries))} in {w.scene.after.vsn}"
    w.ask(Finding(label, words, asks=True))
    kinds = {n: f.kind for n, f in before.fields.items()} if before else {}
    has = [Had(n, kinds.get(n, ""), held) for n, held in shape.fields.items()]
    found = {g.name: g for g in w.compared(None, has, [*entries.values()], _reads(shape), shape)}
    given = [found.get(n) or Given(n, f"state.{n}") for n in entries]
    said = f"# {TODO}: a state was {label}; are these its entries now? then without {TODO}"
    return [said, f"return {TODO}({{", *lines(given), "})"]


def _mapped_back(w: Writer, shape: Shape, entries: Mapping[str, Field]) -> list[str]:
    before = kind_of(w.scene.old, shape.type)
    has = [had(f, shape.fields.get(f.name, ())) for f in entries.values()]
    wanted = [*before.fields.values()] if before and before.fields else [Field(n, "", None, n) for n in shape.fields]
    given = w.compared(before, has, wanted, {n: f"state[{n!r}]" for n in entries}, shape)
    said = f"# {TODO}: the state of {w.scene.before.vsn} was {in_words(shape)}; are these entries what it became?"
    return [
        f"{said} then state, not {TODO}(state)",
        *call("return migrate", (f"{TODO}(state)", w.made(shape.type)), given),
    ]


def _wrapped(w: Writer, shape: Shape, kind: Kind) -> list[str]:
    resolve = w.resolve(w.scene.new, kind.module)
    given = []
    for field in kind.fields.values():
        held = w.rows(field.kind, kind.module, [shape])
        fits = field.kind and not misfits(held, field.kind, resolve)
        of = f"{field.name}: {field.kind}" if field.kind else field.name
        otherwise = f"its default {field.default}" if field.default is not None else "a value"
        if fits:
            then = w.value(held, "state") or "state"
            said = f"{TODO}: is {of} what the state ({in_words(shape)}) was? then {then}, else {otherwise}"
            given.append(Given(field.name, TODO, said))
        elif field.default is None:
            given.append(Given(field.name, TODO, f"{TODO}: {of} has no default: what is its value?"))
    return call("return migrate", ("{}", w.name(kind, "up")), given)


def _entered(w: Writer, shape: Shape, entries: Mapping[str, Field]) -> list[str]:
    words = in_words(shape)
    kept = [f for f in entries.values() if f.default is None or constant_type(f.default) == type_label(shape.type)]
    if w.way == "down":
        reads = (f"state[{f.name!r}]" for f in kept)
        guess = " or ".join(w.value([shape], read) or read for read in reads)
        return [f"# {TODO}: the state of {w.scene.before.vsn} was {words}; is it {guess}?", f"return {TODO}"]
    found = f"? live states are {words}, and begin with {', '.join(map(repr, entries))} in {w.scene.after.vsn}"
    w.ask(Finding(next(iter(entries)), found, asks=True))
    asked = f"is this what the state ({words}) was? then {w.value([shape], 'state') or 'state'}, else "
    given = (
        Given(f.name, TODO, f"{TODO}: {asked}{f.default or 'a value'}")
        if f in kept
        else Given(f.name, f.default or TODO)
        for f in entries.values()
    )
    return ["return {", *lines([*given]), "}"]


def _turned_back(w: Writer, shape: Shape, kind: Kind) -> list[str]:
    label = type_label(shape.type)
    said = f"# {TODO}: the state of {w.scene.before.vsn} was {in_words(shape)}"
    if shape.type == "dict":
        asked = f"{said}; are these its entries? then without {TODO}"
        return [asked, f"return {TODO}({{", *lines(w.entries(shape, kind, "state")), "})"]
    if shape.type == "NoneType":
        return [f"{said}, which no code_change returns: what else do its callbacks take?", f"return {TODO}"]
    if before := kind_of(w.scene.old, shape.type):
        has = [had(f, shape.fields.get(f.name, ())) for f in kind.fields.values()]
        given = w.compared(before, has, [*before.fields.values()], {f.name: f"state.{f.name}" for f in has}, shape)
        asked = f"{said}; is {kind.name} what it became? then state, not {TODO}(state)"
        return [asked, *call("return migrate", (f"{TODO}(state)", w.made(shape.type)), given)]
    resolve = w.resolve(w.scene.new, kind.module)
    held = {f.name: w.rows(f.kind, kind.module, [shape]) for f in kind.fields.values() if f.kind}
    fitting = {n: of for n, of in held.items() if not misfits(of, kind.fields[n].kind, resolve)}
    guess = " or ".join(w.value(of, f"state.{n}") or f"state.{n}" for n, of in fitting.items())
    return [f"{said}{f'; is it {guess}?' if guess else f': how is {label} made of {kind.name}?'}", f"return {TODO}"]
