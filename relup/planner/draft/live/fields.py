"""Fields that come, go, may have another name, or hold values of another type."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from relup.model.draft import TODO
from relup.model.shapes import Shape, type_label
from relup.planner.draft.live.fitting import Resolve, in_words, misfits
from relup.syntax.records import Field

_ALIKE = 0.6


class Had(NamedTuple):
    """A field that values have now: its annotation, and what is live there, as far as known."""

    name: str
    kind: str
    held: Sequence[Shape] = ()

    def types(self) -> str:
        """Return what it holds, in words."""
        return " or ".join(map(in_words, self.held)) or self.kind or "of any type"


def had(field: Field, held: Sequence[Shape] = ()) -> Had:
    """Return a field as one that values have; what begins with a constant is of its type."""
    return Had(field.name, field.kind or constant_type(field.default or ""), held)


class Given(NamedTuple):
    """A value that a new instance is given, as text, and what is said of it."""

    name: str
    value: str
    said: str = ""

    def lines(self, text: str) -> Iterator[str]:
        """Yield *text* as one of several arguments or entries, below what is said of it."""
        if self.said:
            yield f"    # {self.said}"
        yield f"    {text},"


def lines(given: Sequence[Given]) -> Iterator[str]:
    """Yield the entries of a literal mapping."""
    for g in given:
        yield from g.lines(f"{g.name!r}: {g.value}" if g.name else f"**{g.value}")


class Finding(NamedTuple):
    """What was found of one field or class."""

    name: str
    said: str
    asks: bool = False


def renamed(wanted: Sequence[Field], gone: Sequence[Had], resolve: Resolve) -> Mapping[str, Had]:
    """Return which of the fields that go each one that comes may be, under another name; the likeliest pairs only."""
    scored = ((_likeness(field, had, resolve), field.name, had) for field in wanted for had in gone)
    found: dict[str, Had] = {}
    taken = set[str]()
    for score, name, had in sorted(scored, key=lambda pair: -pair[0]):
        if score and name not in found and had.name not in taken:
            found[name] = had
            taken.add(had.name)
    return found


def _likeness(wanted: Field, had: Had, resolve: Resolve) -> float:
    one, other = wanted.name.strip("_").lower(), had.name.strip("_").lower()
    ratio = SequenceMatcher(None, one, other).ratio()
    named = max(ratio, 0.9 if one in other or other in one else 0)
    kind = wanted.kind or constant_type(wanted.default or "")
    same = bool(kind) and same_kind(kind, had.kind)
    known = had.held if any(s.type != "NoneType" for s in had.held) else ()
    typed = kind not in ("", "None", "NoneType", "Any", "object", "typing.Any")
    alike = kind.partition("[")[0] in {type_label(s.type) for s in known}
    fitting = alike and typed and not misfits(known, kind, resolve)
    unfit = bool(known) and typed and bool(misfits(known, kind, resolve))
    likely = named >= _ALIKE and (not unfit or named >= 0.8)
    return named + 1 if likely else 0.5 + ratio / 10 if same or fitting else 0


def presence(held: Sequence[Shape]) -> tuple[int, int]:
    """Return in how many values a field is, and in how many it is neither None nor empty."""
    return sum(s.count for s in held), sum(s.filled for s in held)


def dropped(had: Had, owner: str, goal: str, total: int) -> Finding:
    """Say that a field goes, and how many values go with it."""
    _, filled = presence(had.held)
    lost = (
        f"{filled} of {total} live ones have a value there, which is lost unless something takes it over"
        if filled
        else "no live one has a value"
    )
    return Finding(had.name, f"- {had.name} ({had.types()}) of {owner} is gone in {goal}: {lost}", bool(filled))


def added(field: Field, owner: str, goal: str) -> Finding:
    """Say that a field is new, and with what it begins."""
    begins = f"begins with {field.default}" if field.default is not None else "has no default"
    written = " ".join(field.written.split())
    return Finding(field.name, f"+ {written} of {owner} is new in {goal}, and {begins}", field.default is None)


def asked_new(field: Field, was: Had | None, then: str, lead: str) -> Given:
    """Ask for the value of a field that comes; *then* is what it is if it was another one."""
    of = f": {field.kind}" if field.kind else ""
    if was is None:
        return Given(field.name, TODO, f"{TODO}: {field.name}{of} {lead} and has no default: what is its value?")
    asked = f"is it {was.name} ({was.types()})? then {then}"
    otherwise = f"its default {field.default}" if field.default is not None else "a value"
    return Given(field.name, TODO, f"{TODO}: {field.name}{of} {lead}; {asked}, else {otherwise}")


def retyped(wanted: Field, wrong: Sequence[str], guess: str, lead: str) -> Given:
    """Ask what becomes of values that do not fit the annotation of the other release."""
    here = f"{wanted.name} is {wanted.kind} here, and" if wanted.kind else f"{wanted.name} is another here:"
    return Given(wanted.name, TODO, f"{TODO}: {here} {lead} {' or '.join(wrong)}: {guess}")


def in_part(name: str, held: Sequence[Shape], total: int) -> Iterator[Finding]:
    """Say that only some of the live values have a field."""
    count, _ = presence(held)
    if 0 < count < total:
        yield Finding(name, f"only {count} of {total} live ones have {name}")


def same_kind(one: str, other: str) -> bool:
    """Say whether two annotations are written alike."""
    return "".join(one.split()) == "".join(other.split())


def sole_type(held: Sequence[Shape]) -> str:
    """Return the one built-in type that all of some values have; nothing where they have several."""
    return held[0].type if len(held) == 1 and ":" not in held[0].type else ""


def constant_type(text: str) -> str:
    """Return the type of a constant, as it is written; nothing for what is none."""
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError):
        return text.partition("(")[0] if text.endswith("()") else ""
