"""Findings as workflow commands, by which GitHub Actions writes them beside the lines that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from relup.diagnostics import Diagnostic, Severity
from relup.report.sarif import relative

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}
_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_DATA, (":", "%3A"), (",", "%2C"))


def github_lines(found: Sequence[Diagnostic], here: Path) -> Iterator[str]:
    """Return one command for each finding; files below the folder *here* are named relative to it."""
    for d in found:
        place = d.location
        given = {"file": relative(place.file, here), "line": place.line, "col": place.column} if place else {}
        properties = ",".join(f"{k}={_escaped(str(v), _PROPERTY)}" for k, v in (given | {"title": d.code}).items())
        said = f"{d.message} ({d.hint})" if d.hint else d.message
        yield f"::{_COMMANDS[d.severity]} {properties}::{_escaped(said, _DATA)}"


def _escaped(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    for character, escape in pairs:
        text = text.replace(character, escape)
    return text
