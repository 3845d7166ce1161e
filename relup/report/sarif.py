"""Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relup.diagnostics import Diagnostic, Location
from relup.planner.lint import RULES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(found: Sequence[Diagnostic], here: Path) -> dict[str, Any]:
    """Return the findings as one SARIF log; files below the folder *here* are named relative to it.

    Every rule is listed, and every code that is none of them because it has but one wording, so that each result has
    a rule.
    """
    codes = [*RULES, *sorted({d.code for d in found} - RULES.keys())]
    place = {code: n for n, code in enumerate(codes)}
    driver = {"name": "relup", "version": version("relup"), "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, place[d.code], here) for d in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    if rule is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(d: Diagnostic, rule: int, here: Path) -> dict[str, Any]:
    said = f"{d.message} ({d.hint})" if d.hint else d.message
    return {
        "ruleId": d.code,
        "ruleIndex": rule,
        "level": d.severity,
        "message": {"text": said},
        "locations": [_location(d.location, here)] if d.location else [],
    }


def _location(location: Location, here: Path) -> dict[str, Any]:
    region = {"startLine": location.line, "startColumn": location.column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(location.file, here)}, "region": region}}


def _uri(file: str, here: Path) -> str:
    """Return a file as a URI: relative where it lies below *here*, so that it holds on any machine."""
    shown = relative(file, here)
    return Path(shown).as_uri() if Path(shown).is_absolute() else quote(shown)


def relative(file: str, here: Path) -> str:
    """Return a file's path relative to the folder *here* when it lies below it, else absolute."""
    whole = Path(here, file)
    for path, folder in ((whole, here), (whole.resolve(), here.resolve())):
        if path.is_relative_to(folder) and ".." not in path.parts:
            return path.relative_to(folder).as_posix()
    return str(whole.resolve())
