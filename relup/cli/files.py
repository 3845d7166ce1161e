"""`check`: everything that can be said of files, and no node is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click

from relup.cli.live import unpacked
from relup.cli.output import Output, json_text
from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, RelupError, errors
from relup.document import read_document
from relup.model.appup import Appup
from relup.model.release import Release
from relup.planner import plan as make_plan
from relup.planner.lint import check_appup
from relup.report.github import github_lines
from relup.report.sarif import sarif
from relup.targets.python.wire import diagnostic_to_data


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    paths: Sequence[str]
    libraries: Sequence[str]
    form: str
    strict: bool


def form_of(form: str | None, *, as_json: bool) -> str:
    """Return the format that is asked for. Raises a usage error when two are."""
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json asks for one format, --format {form} for another")
    return "json" if as_json else form or "text"


def check(output: Output, request: Request) -> int:
    """Read everything, report everything; two releases in a row are also planned, both ways."""
    found = tuple(dict.fromkeys(findings(request.paths, request.libraries)))
    code = verdict(found, strict=request.strict)
    match request.form:
        case "sarif":
            lines: Iterable[str] = json_text(sarif(found, Path.cwd())).splitlines()
        case "github":
            lines = github_lines(found, Path.cwd())
        case _:
            lines = (*map(str, found), _in_words(found, len(request.paths), strict=request.strict))
    output.result({"ok": code == 0, "diagnostics": [diagnostic_to_data(d) for d in found]}, lines)
    return code


def verdict(found: Sequence[Diagnostic], *, strict: bool) -> int:
    """Return the exit code: errors are invalid input; what only *strict* does not let pass is refused."""
    if errors(found):
        return InvalidInput.exit_code
    return Refused.exit_code if strict and any(d.severity == "warning" for d in found) else 0


def _in_words(found: Sequence[Diagnostic], paths: int, *, strict: bool) -> str:
    counts = {s: sum(d.severity == s for d in found) for s in ("error", "warning", "note")}
    counted = ", ".join(f"{n} {s}(s)" for s, n in counts.items() if n)
    if verdict(found, strict=strict):
        return counted
    return f"{paths} path(s) hold" + (f" ({counted})" if counted else "")


def findings(paths: Sequence[str | Path], libraries: Sequence[str | Path] = ()) -> Iterator[Diagnostic]:
    """Yield everything that can be said of the documents at *paths*, and of what leads from release to release."""
    releases: list[Release] = []
    for path in paths:
        try:
            match read_document(path, libraries, unpacked()):
                case Release() as release:
                    releases.append(release)
                    yield from _of_release(release)
                case Appup() as appup:
                    yield from check_appup(appup)
                case _:
                    pass
        except RelupError as error:
            yield from error.diagnostics
    for old, new in pairwise(releases):
        yield from _of_pair(old, new)


def _of_release(release: Release) -> Iterator[Diagnostic]:
    for application in release.applications:
        yield from (*application.faults, *application.missing)
        if application.appup:
            yield from check_appup(application.appup)


def _of_pair(old: Release, new: Release) -> tuple[Diagnostic, ...]:
    if (old.name, old.vsn, old.root) == (new.name, new.vsn, new.root):
        message = f"{old} is given twice in a row: nothing leads from a release to itself"
        return (Diagnostic("same_release", message, new.location or Location(new.root, 1, 1)),)
    try:
        return make_plan(old, new).warnings
    except RelupError as error:
        return error.diagnostics
