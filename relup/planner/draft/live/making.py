"""The statements that make one instance of another, and those that make one of each, however often it is met."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from relup.planner.draft.live.fields import Given

_WIDTH = 100
_ONCE = (
    "def once(value, make):",
    "    if id(value) not in known:",
    "        known.setdefault(id(value), make())  # unless that led back here",
    "    return known[id(value)]",
    "",
)
_GROWN = (
    "def grown(value, made, fill):",
    "    if id(value) not in known:",
    "        known[id(value)] = made",
    "        fill(made)",
    "    return known[id(value)]",
    "",
)
_FACTORY = (
    "def factory(of):",
    "    made = of.default_factory",
    "    return counterpart(made) if isinstance(made, type) else made",
    "",
)
_FLAGS = (
    "def flags(of, cls, others=()):",
    "    made, rest = cls(0), of.value",
    "    for flag in of:",
    "        made |= others[flag.name] if flag.name in others else cls[flag.name]",
    "        rest &= ~flag.value",
    "    return made | cls(rest) if rest else made  # what has no name, by its value",
    "",
)
_LEADS_ON = re.compile(r"\b(newer|older)_\w+\(")


def needed(text: str) -> Sequence[str]:
    """Return the functions that a text calls: to make one of each that is at several places, factories, and flags."""
    functions = {"once(": _ONCE, "grown(": _GROWN, "factory(": _FACTORY, "flags(": _FLAGS}
    known = ("known = {}", "") if any(word in text for word in ("known[", "once(", "grown(")) else ()
    return [*known, *(line for name, lines in functions.items() if name in text for line in lines)]


def returning(first: Sequence[str], given: Sequence[Given], left: Sequence[str]) -> list[str]:
    """Return the statements that return a new instance, with what it takes off once that is made."""
    if not left:
        return call("return migrate", first, given)
    return [*call("made = migrate", first, given), *left, "return made"]


def remembered(argument: str, body: Sequence[str]) -> list[str]:
    """Return the statement that makes one of each by what *body* returns."""
    *lines, last = body[0].replace("return ", f"return once({argument}, lambda: ", 1), *body[1:]
    return [*lines, f"{last})"]


def circular(
    argument: str, first: Sequence[str], given: Sequence[Given], left: Sequence[str], *, frozen: bool
) -> Iterator[str]:
    """Yield the body of a function that makes one instance of each, before what may lead back to it is made."""
    later = [g for g in given if not g.said and _LEADS_ON.search(g.value)]
    put = "object.__setattr__(made, {0!r}, {1})" if frozen else "made.{0} = {1}"
    at_once = call(f"known[id({argument})] = made = migrate", first, [g for g in given if g not in later])
    yield f"if id({argument}) not in known:"
    yield from (f"    {line}" for line in (*at_once, *left, *(put.format(g.name, g.value) for g in later)))
    yield f"return known[id({argument})]"


def call(function: str, first: Sequence[str], given: Sequence[Given]) -> list[str]:
    """Return the lines of a call, one line for each that is given when something is said of it."""
    line = f"{function}({', '.join([*first, *(f'{g.name}={g.value}' for g in given)])})"
    if not any(g.said for g in given) and len(line) <= _WIDTH:
        return [line]
    rest = (line for g in given for line in g.lines(f"{g.name}={g.value}"))
    return [f"{function}(", *(f"    {text}," for text in first), *rest, ")"]
