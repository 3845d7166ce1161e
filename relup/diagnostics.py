"""What went wrong, where, and what the exit code says about it.

Checks are generators of `Diagnostic`; each room has one door that raises, once, with everything it found:

    RelupError
    ├── InvalidInput      3   a file, a plan or an argument is wrong; nothing was asked of a node
    ├── Refused           4   the node, or the check before it, said no; nothing was touched
    ├── RolledBack        5   the upgrade failed and everything is back as it was
    ├── OperatorNeeded    6   the upgrade failed and so did a part of the way back; says what remains
    └── Busy              7   another upgrade holds the node; names its owner
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code (OTP's tag where there is one), a sentence, and where it can be mended."""

    code: str
    message: str
    location: Location | None = None
    severity: Severity = "error"
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        kind = "" if self.severity == "error" else f"{self.severity}: "
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{kind}{self.message}{hint} [{self.code}]"


def in_words(error: BaseException, most: int = 300) -> str:
    """Return an exception in one line, whatever it is and whatever happens when it is printed."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(it cannot be printed)"
    return f"{type(error).__name__}: {text[:most]}" if text else type(error).__name__


class RelupError(Exception):
    """Base of everything relup raises on purpose; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


class InvalidInput(RelupError):
    """A document, a plan or an argument is wrong."""

    exit_code = 3


class Refused(RelupError):
    """The upgrade was refused before anything was touched."""

    exit_code = 4


class RolledBack(RelupError):
    """The upgrade failed; every process runs the old version with the state it had."""

    exit_code = 5


class OperatorNeeded(RelupError):
    """The upgrade failed and could not be undone wholly; the diagnostics name what remains."""

    exit_code = 6


class Busy(RelupError):
    """Another upgrade is running on this node."""

    exit_code = 7


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the findings that must stop the work; warnings and notes do not."""
    return [d for d in diagnostics if d.severity == "error"]
