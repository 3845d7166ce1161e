"""`graph`: the versions in a folder, or the order of modules between two releases, drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from relup.cli.live import unpacked
from relup.cli.output import Output, write_file
from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import read_release
from relup.document.folder import read_releases
from relup.model.graph import Graph
from relup.planner import dependency_graph, version_graph
from relup.report.graph import dot, mermaid, svg

DRAW: Mapping[str, Callable[[Graph], str]] = {"dot": dot, "mermaid": mermaid, "svg": svg}
_OF_SUFFIX = {"": "dot", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".svg": "svg"}


def graph(output: Output, paths: Sequence[str], form: str | None, file: str | None, libraries: Sequence[str]) -> int:
    """Draw the releases of one folder, or what is planned between two releases."""
    drawing = DRAW[form or _form(file or "")](_graph(output, paths, libraries))
    if file:
        write_file(file, drawing)
    else:
        output.result({"graph": drawing}, drawing.splitlines())
    return 0


def _form(file: str) -> str:
    """Return the format that *file* is named for. Raises a usage error when it is none of those that there are."""
    suffix = Path(file).suffix.lower()
    if suffix not in _OF_SUFFIX:
        known = ", ".join(filter(None, _OF_SUFFIX))
        raise click.UsageError(f"{suffix} names no format of drawings: end FILE with one of {known}, or say --format")
    return _OF_SUFFIX[suffix]


def _graph(output: Output, paths: Sequence[str], libraries: Sequence[str]) -> Graph:
    match paths:
        case (old, new):
            before, after = (read_release(Path(path), libraries, unpacked()) for path in (old, new))
            return dependency_graph(before, after)
        case (folder,):
            found, warnings = read_releases([folder], libraries, unpacked())
            output.warn(warnings)
            if not found:
                message = "there is no release to draw here"
                hint = "releases lie in it side by side, each in a folder of its own"
                raise InvalidInput([Diagnostic("no_release", message, Location(folder, 1, 1), hint=hint)])
            return version_graph(found)
        case _:
            raise click.UsageError("give one folder of releases, or two releases")
