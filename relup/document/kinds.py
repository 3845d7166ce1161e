"""A path, and whichever document it leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.appup import checked_appup
from relup.document.release import FILE, checked_release, form_of, read_release, release_file
from relup.document.relup import checked_relup
from relup.document.route import checked_route
from relup.document.text import read_bytes
from relup.document.todos import unanswered
from relup.model.appup import Appup
from relup.model.otp_relup import OtpRelup
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.model.route import Route

Document: TypeAlias = Appup | Application | OtpRelup | Release | Relup | Route

_TELLING: Mapping[str, frozenset[str]] = {
    "route": frozenset({"hops"}),
    "relup": frozenset({"script", "base", "goal", "way_back", "direction"}),
    "appup": frozenset({"application", "up", "down"}),
    "release": frozenset({"applications", "name"}),
}
"""The keys that no other kind of document has."""

_OTP_RELUP = re.compile(rb'\s*(?:%[^\n]*\n\s*)*\{\s*"[^"]*"\s*,')
"""How a relup file of OTP begins; JSON, which may begin with a brace and a text too, goes on with a colon."""
_PLAN = re.compile(rb'\s*(?:#|\w+\s*:|\{\s*"[^"]*"\s*:)')
"""How a plan of relup's own begins, which may be named `relup` too."""


_CODE = (".py", ".pyc", ".so", ".beam", ".erl", ".ex")


def read_document(path: str | Path, libraries: Sequence[str | Path] = (), unpack: str | Path | None = None) -> Document:
    """Return the document at *path*, told by its name, else by what it says; raise `InvalidInput`.

    *libraries* and *unpack* are what `read_release` takes.
    """
    if form_of(Path(path)) != "file":
        return read_release(path, libraries, unpack)
    file = release_file(Path(path))
    if file.suffix == ".rel":
        return read_release(file, libraries)
    if file.name.endswith((".appup", ".appup.src")):
        from relup.document.erlang.appup import read_erlang_appup  # noqa: PLC0415  YAML needs no grammar of Erlang

        return read_erlang_appup(file, None)
    if file.suffix == ".app":
        from relup.document.erlang.app import read_application  # noqa: PLC0415

        return read_application(file)
    if file.suffix in _CODE:
        message = "this is code, and no appup, release or plan"
        raise InvalidInput(
            [Diagnostic("unknown_document", message, Location(str(file), 1, 1), hint="name its release")]
        )
    text = read_bytes(file)
    if _OTP_RELUP.match(text) or (file.name == "relup" and not _PLAN.match(text)):
        from relup.document.erlang.otp_relup import read_otp_relup  # noqa: PLC0415

        return read_otp_relup(file)
    return _read_yaml(file)


def _read_yaml(file: Path) -> Document:
    piece = reader.parse(file)
    match _kind(file.name, piece.data):
        case "appup":
            return checked_appup(piece, unanswered(file))
        case "release":
            return checked_release(piece, file)
        case "relup":
            return checked_relup(piece)
        case "route":
            return checked_route(piece)
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
