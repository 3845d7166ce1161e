"""`check`: everything that can be said of files, and no node is needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from relup.cli.live import unpacked
from relup.cli.output import Output
from relup.diagnostics import Diagnostic, InvalidInput, RelupError, errors
from relup.document import read_document
from relup.model.release import Release
from relup.planner import plan as make_plan
from relup.targets.python.wire import diagnostic_to_data


def check(output: Output, paths: Sequence[str], libraries: Sequence[str]) -> int:
    """Read everything, report everything; two releases in a row are also planned, both ways."""
    found: list[Diagnostic] = []
    releases: list[Release] = []
    for path in paths:
        try:
            match read_document(Path(path), libraries, unpacked()):
                case Release() as release:
                    releases.append(release)
                    found += [fault for a in release.applications for fault in a.faults]
                case _:
                    pass
        except RelupError as error:
            found += error.diagnostics
    for old, new in pairwise(releases):
        found += [d for d in _check_pair(old, new) if d not in found]
    bad = errors(found)
    verdict = f"{len(bad)} error(s)" if bad else f"{len(paths)} path(s) hold"
    output.result({"ok": not bad, "diagnostics": [diagnostic_to_data(d) for d in found]}, [*map(str, found), verdict])
    return InvalidInput.exit_code if bad else 0


def _check_pair(old: Release, new: Release) -> tuple[Diagnostic, ...]:
    try:
        return make_plan(old, new).warnings
    except RelupError as error:
        return error.diagnostics
