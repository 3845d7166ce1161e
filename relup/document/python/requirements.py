"""What one distribution requires of others, as far as the release that they stand in needs to know.

The full language of requirements (PEP 508) decides what is to be installed. That was decided when the folder was
made: what a marker says of Python or of the platform is answered by what is there, so it counts as true, and versions
are not compared again. What is left is the name, and whether an *extra* was asked for; an extra that nobody asked
for must not tie together distributions that happen to lie in one folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from relup.diagnostics import Diagnostic, Location
from relup.document.python.names import normalized

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?", re.DOTALL)
_TOKEN = re.compile(r"""\s*(\(|\)|"[^"]*"|'[^']*'|[A-Za-z_][\w.]*|[<>=!~]+)""")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A distribution that another one requires."""

    name: str
    """Normalized."""
    extras: frozenset[str] = frozenset()
    """The extras of it that are asked for."""
    marker: str = ""
    location: Location | None = field(default=None, compare=False, repr=False)

    def holds(self, extras: frozenset[str]) -> bool:
        """Say whether it is required when *extras* of the requiring distribution are asked for."""
        return not self.marker.strip() or any(_true(self.marker, extra) for extra in extras or {""})


def requirement(text: str, location: Location) -> Requirement | Diagnostic:
    """Return the requirement that *text* states, or what is wrong with it."""
    found = _REQUIREMENT.fullmatch(text)
    if not found:
        return Diagnostic("bad_metadata", f"{text[:60]!r} is no requirement of a distribution", location)
    name, extras, _, marker = found.groups()
    asked = frozenset(normalized(e) for e in (extras or "").split(",") if e.strip())
    return Requirement(normalized(name), asked, marker or "", location)


def _true(marker: str, extra: str) -> bool:
    """Say whether *marker* holds for one extra, "" for none; one that cannot be read is taken to hold."""
    tokens = [found.group(1) for found in _TOKEN.finditer(marker)]
    reader = iter([*tokens, ")"])
    return _either(reader, extra)


def _either(tokens: Iterator[str], extra: str) -> bool:
    """Read up to the bracket that closes: `and` binds closer than `or`."""
    either, both = False, True
    comparison: list[str] = []
    for token in tokens:
        match token:
            case "(":
                both &= _either(tokens, extra)
            case ")":
                break
            case "and":
                both, comparison = both & _holds(comparison, extra), []
            case "or":
                either, both, comparison = either or (both & _holds(comparison, extra)), True, []
            case _:
                comparison.append(token)
    return either or (both & _holds(comparison, extra))


def _holds(comparison: list[str], extra: str) -> bool:
    match comparison:
        case ["extra", "==", text] | [text, "==", "extra"]:
            return normalized(text.strip("'\"")) == extra
        case ["extra", "!=", text] | [text, "!=", "extra"]:
            return normalized(text.strip("'\"")) != extra
        case _:
            return True
