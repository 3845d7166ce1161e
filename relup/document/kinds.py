"""A path, and whichever document it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.appup import checked_appup
from relup.document.release import FILE, checked_release, release_file
from relup.document.relup import checked_relup
from relup.model.appup import Appup
from relup.model.release import Release
from relup.model.relup import Relup

Document: TypeAlias = Appup | Release | Relup

_TELLING: Mapping[str, frozenset[str]] = {
    "relup": frozenset({"script", "base", "goal", "way_back", "direction"}),
    "appup": frozenset({"application", "up", "down"}),
    "release": frozenset({"applications", "name"}),
}
"""The keys that no other kind of document has."""


def read_document(path: str | Path) -> Document:
    """Return the appup, release or plan at *path*, told by its name, else by its keys; raise `InvalidInput`."""
    file = release_file(Path(path))
    piece = reader.parse(file)
    match _kind(file.name, piece.data):
        case "appup":
            return checked_appup(piece)
        case "release":
            return checked_release(piece, file)
        case "relup":
            return checked_relup(piece)
        case _:
            message = "this is neither an appup nor a release nor a plan"
            hint = "an appup has application and vsn, a release has name and applications, a plan has base and script"
            raise InvalidInput([Diagnostic("unknown_document", message, Location(str(file), 1, 1), hint=hint)])


def _kind(name: str, data: object) -> str | None:
    if name.endswith((".appup.yaml", ".appup.yml")):
        return "appup"
    if name == FILE:
        return "release"
    keys = data.keys() if isinstance(data, dict) else frozenset()
    return next((kind for kind, telling in _TELLING.items() if telling & keys), None)
