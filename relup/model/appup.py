"""What to do between two versions of one application."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.model.instructions import Direction, Instruction
from relup.model.pcre import compiled

Inverse: TypeAlias = Literal["inverse"]


@dataclass(frozen=True, slots=True)
class VersionPattern:
    """A version, or a regular expression whose first match must be the whole version (OTP's rule)."""

    text: str
    regex: bool = False

    def matches(self, vsn: str) -> bool:
        """Say whether this names *vsn*."""
        if not self.regex:
            return self.text == vsn
        found = compiled(self.text).search(vsn)
        return found is not None and found.group(0) == vsn

    def part(self, vsn: str) -> str | None:
        """Return what the first match finds of *vsn*, None when that is nothing, or all of it."""
        found = compiled(self.text).search(vsn) if self.regex and not self.fault() else None
        return found.group(0) if found and found.group(0) not in ("", vsn) else None

    def fault(self) -> str | None:
        """Return why nothing can be matched with this, None when it can; `matches` raises `re.error` then."""
        try:
            self.matches("")
        except re.error as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """The instructions between this appup's version and one other; `inverse` derives them from the other list."""

    version: VersionPattern
    instructions: tuple[Instruction, ...] | Inverse
    location: Location | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Appup:
    """An application upgrade file: how to come to `vsn` from others, and how to go back to them."""

    application: str
    vsn: str
    up: tuple[Entry, ...] = ()
    down: tuple[Entry, ...] = ()
    location: Location | None = field(default=None, compare=False, repr=False)
    unanswered: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    """What a draft left for somebody to decide: errors, for whoever would use it; a plan does not carry it."""

    def entry(self, direction: Direction, other: str) -> Entry | None:
        """Return the first entry that names version *other*, as OTP does."""
        entries = self.up if direction == "up" else self.down
        return next((e for e in entries if e.version.matches(other)), None)
