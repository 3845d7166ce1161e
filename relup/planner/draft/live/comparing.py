"""What becomes of each field between two classes, or two mappings: taken over, asked about, begun anew or dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from relup.model.shapes import Shape, merged, type_label
from relup.planner.draft.live.annotated import SCALARS, classes_in, joined, recast
from relup.planner.draft.live.fields import (
    Finding,
    Given,
    Had,
    added,
    asked_new,
    dropped,
    in_part,
    renamed,
    retyped,
    same_kind,
)
from relup.planner.draft.live.fitting import Resolve, misfits
from relup.syntax.records import Field


@dataclass(frozen=True, slots=True)
class Comparison:
    """Between which two, in which direction, and who is told."""

    way: Literal["up", "down"]
    owner: str
    older: str
    goal: str
    """The two versions."""
    resolve: Resolve
    value: Callable[[Sequence[Shape], str], str | None]
    """Turns what a field holds into what it holds in the other release."""
    expected: Callable[[str], Sequence[Shape]]
    """Tells what an annotation of what is left says that values may be."""
    rows: Callable[[str, Sequence[Shape]], Sequence[Shape]]
    """Tells which mappings an annotation of the newer release has as instances."""
    concerned: Callable[[Sequence[Shape]], bool]
    """Says whether values are, or hold, instances of classes that are loaded anew."""
    ask: Callable[[Finding], None]
    live: Mapping[str, Sequence[Shape]]
    """What the fields of the older release hold."""
    retyped: frozenset[str]
    """Fields whose type the way up asked about."""
    defaults: bool
    """Whether fields begin with their defaults by themselves."""

    def ask_all(self, findings: Iterable[Finding]) -> None:
        """Tell what was found."""
        for finding in findings:
            self.ask(finding)


def compared(
    of: Comparison, had: Sequence[Had], wanted: Sequence[Field], reads: Mapping[str, str], total: int
) -> Iterator[Given]:
    """Yield what has to be given for the *wanted* fields; *reads* are expressions for the fields that are *had*.

    *total* is how many live values there are.
    """
    names = {h.name: h for h in had}
    gone = [h for h in had if h.name not in {w.name for w in wanted}]
    pairs = renamed([w for w in wanted if w.name not in names], gone, of.resolve)
    for field in wanted:
        if field.name in names:
            yield from _taken_over(of, names[field.name], field, reads[field.name], total)
        else:
            yield from _new(of, field, pairs.get(field.name), reads)
    for h in gone if of.way == "up" else ():
        of.ask(dropped(h, of.owner, of.goal, total))


def _new(of: Comparison, field: Field, was: Had | None, reads: Mapping[str, str]) -> Iterator[Given]:
    of.ask(added(field, of.owner, of.goal))
    read = ""
    if was:
        of.ask(Finding(field.name, f"? {field.name} may be what {was.name} was, under another name", asks=True))
        live = was.held if of.way == "up" else of.live.get(field.name, ())
        held = of.rows(_newer(of, was, field), joined(live, of.expected(was.kind)))
        read = of.value(held, reads[was.name]) or reads[was.name]
    if was or field.default is None:
        yield asked_new(field, was, read, "is new" if of.way == "up" else f"is back in {of.older}")
    elif not of.defaults:
        begins = "new" if of.way == "up" else f"lost on the way up; so it begins in {of.older}"
        yield Given(field.name, field.default, begins)


def _taken_over(of: Comparison, had: Had, field: Field, read: str, total: int) -> Iterator[Given]:
    may_be = of.expected(had.kind)
    possible = joined(had.held, may_be)
    if of.way == "up":
        of.ask_all(_awaited(of, had, may_be))
    live = misfits(had.held, field.kind, of.resolve) if of.way == "up" and field.kind else []
    if wrong := live or _unfit(of, had, field, may_be):
        whose = f"live values of {field.name} are" if live else f"{field.name} of {of.owner} may be"
        words = f"~ {whose} {' or '.join(wrong)}, and it is {field.kind} in {of.goal}"
        of.ask(Finding(field.name, words, asks=True))
        held = of.rows(_newer(of, had, field), possible)
        guess = _guess(of, field, read, held, held if of.way == "up" else may_be)
        lead = "live values are" if live else f"in {of.older if of.way == 'up' else of.goal}"
        words = f"is it {guess}?" if guess != read else f"how is it made of {read}?"
        yield retyped(field, wrong, words, lead)
    elif (text := of.value(merged((*possible, *_perhaps_none(of, had, field))), read)) is not None:
        yield Given(field.name, text)
    of.ask_all(in_part(had.name, had.held, total))


def _newer(of: Comparison, had: Had, field: Field) -> str:
    """Return what the newer release has as the annotation of a field."""
    return field.kind if of.way == "up" else had.kind


def _unfit(of: Comparison, had: Had, field: Field, may_be: Sequence[Shape]) -> list[str]:
    """Return what does not fit the other annotation although no live value shows it.

    That is on the way up all that may be where every live one is None or empty, and else what would have to be turned;
    on the way down what the way up asked about.
    """
    if same_kind(had.kind, field.kind) and [*of.rows(_newer(of, had, field), had.held)] == [*had.held]:
        return []
    if of.way == "down":
        return [had.kind or "of another type"] if field.name in of.retyped else []
    full = any(s.filled for s in had.held)
    return misfits([s for s in may_be if not full or of.concerned([s])], field.kind, of.resolve)


def _awaited(of: Comparison, had: Had, may_be: Sequence[Shape]) -> Iterator[Finding]:
    """Say that an annotation names classes that are loaded anew, and that nothing of them is live in the field."""
    classes = [c for c in classes_in(may_be) if of.concerned([Shape(c, 0, 0)])]
    if had.held and classes and not {*classes}.intersection(classes_in(had.held)):
        named = " or ".join(dict.fromkeys(map(type_label, classes)))
        where = f"{had.name}: {had.kind} of {of.owner} holds no {named} in any live one that was looked at"
        words = f"{where}, and {named} is loaded anew"
        yield Finding(had.name, words, asks=True)


def _guess(of: Comparison, field: Field, read: str, held: Sequence[Shape], was: Sequence[Shape]) -> str:
    """Return what a value of another type may become; what it holds is turned, too."""
    called = f"{field.kind}({read})" if field.kind.replace(".", "").isidentifier() else read
    if field.kind in SCALARS:
        return called
    cast = recast(held, field.kind)
    if cast is None:
        return of.value(held, read) or called
    type_, made = cast
    other = any(s.type not in (type_, "NoneType") for s in was)
    return of.value(made, read) or (f"{type_}({read})" if other else called)


def _perhaps_none(of: Comparison, had: Had, field: Field) -> Iterator[Shape]:
    """Yield None where the annotation has it and no live value is: one that is made meanwhile may be."""
    none = Shape("NoneType", 0, 0)
    if field.kind and all(s.type != none.type for s in had.held) and not misfits([none], field.kind, of.resolve):
        yield none
