"""What becomes of each field between two classes, or two mappings: taken over, asked about, begun anew or dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from relup.model.shapes import Shape
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
    ask: Callable[[Finding], None]
    retyped: frozenset[str]
    """Fields whose type the way up asked about."""
    defaults: bool
    """Whether fields begin with their defaults by themselves."""


def compared(
    of: Comparison, had: Sequence[Had], wanted: Sequence[Field], reads: Mapping[str, str], total: int
) -> Iterator[Given]:
    """Yield what has to be given for the *wanted* fields; *reads* are expressions for the fields that are *had*.

    *total* is how many live values there are.
    """
    names = {h.name: h for h in had}
    gone = [h for h in had if h.name not in {w.name for w in wanted}]
    for field in wanted:
        if field.name in names:
            yield from _taken_over(of, names[field.name], field, reads[field.name], total)
        else:
            yield from _new(of, field, gone, reads)
    for h in gone if of.way == "up" else ():
        of.ask(dropped(h, of.owner, of.goal, total))


def _new(of: Comparison, field: Field, gone: Sequence[Had], reads: Mapping[str, str]) -> Iterator[Given]:
    candidates = renamed(field, gone, of.resolve)
    of.ask(added(field, of.owner, of.goal))
    if candidates:
        names = " or ".join(c.name for c in candidates)
        of.ask(Finding(field.name, f"? {field.name} may be what {names} was, under another name", asks=True))
    if candidates or field.default is None:
        yield asked_new(field, candidates, reads, "is new" if of.way == "up" else f"is back in {of.older}")
    elif not of.defaults:
        begins = "new" if of.way == "up" else f"lost on the way up; so it begins in {of.older}"
        yield Given(field.name, field.default, begins)


def _taken_over(of: Comparison, had: Had, field: Field, read: str, total: int) -> Iterator[Given]:
    wrong = misfits(had.held, field.kind, of.resolve) if of.way == "up" and field.kind else []
    if of.way == "down" and field.name in of.retyped and not same_kind(had.kind, field.kind):
        wrong = [had.kind or "of another type"]
    if wrong:
        words = f"~ live values of {field.name} are {' or '.join(wrong)}, and it is {field.kind} in {of.goal}"
        of.ask(Finding(field.name, words, asks=True))
        yield retyped(field, wrong, read, "live values are" if of.way == "up" else f"in {of.goal}")
    elif (text := of.value((*had.held, *_perhaps_none(of, had, field)), read)) is not None:
        yield Given(field.name, text)
    for finding in in_part(had.name, had.held, total):
        of.ask(finding)


def _perhaps_none(of: Comparison, had: Had, field: Field) -> Iterator[Shape]:
    """Yield None where the annotation has it and no live value is: one that is made meanwhile may be."""
    none = Shape("NoneType", 0, 0)
    if field.kind and all(s.type != none.type for s in had.held) and not misfits([none], field.kind, of.resolve):
        yield none
