"""Plans, as JSON-compatible data and as files.

The data is what a controller sends to a node and what `relup plan -o` saves. It round-trips: what comes back is
equal, and every instruction still knows the line of the appup that it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from relup.diagnostics import Diagnostic, InvalidInput, Severity
from relup.document import reader
from relup.document.appup import decode_appup, encode_appup
from relup.document.fields import at
from relup.document.instructions import read_instruction, write_instruction
from relup.document.piece import DEPTH, Malformed, Piece
from relup.document.writer import write_yaml
from relup.model.instructions import ApplicationType, Direction, HighLevel, LowLevel
from relup.model.release import Application, NodeKind, Release
from relup.model.relup import Relup


def relup_to_data(relup: Relup) -> dict[str, Any]:
    """Return the plan as JSON-compatible data; raise `InvalidInput` when an argument in it is not plain data."""
    data: dict[str, Any] = {
        "direction": relup.direction,
        "base": release_to_data(relup.base),
        "goal": release_to_data(relup.goal),
        "script": [write_instruction(i, places=True) for i in relup.script],
    }
    if relup.way_back is not None:
        data["way_back"] = [write_instruction(i, places=True) for i in relup.way_back]
    data["warnings"] = [warning_data(w) for w in relup.warnings]
    if odd := _odd(data):
        raise InvalidInput([Diagnostic("not_plain_data", f"a plan holds plain data only, found {odd}")])
    return data


def relup_from_data(data: Mapping[str, Any]) -> Relup:
    """Return the plan that *data* describes; raise `InvalidInput` when it describes none."""
    return reader.decoded(Piece(data), decode_relup)


def read_relup(path: str | Path) -> Relup:
    """Return the plan in the file at *path*, YAML or JSON; raise `InvalidInput` with everything wrong with it."""
    return checked_relup(reader.parse(Path(path)))


def checked_relup(piece: Piece) -> Relup:
    """Return the plan that a parsed file holds; raise `InvalidInput` with everything that is wrong with it."""
    reader.raise_errors(reader.check(piece, "relup"))
    return reader.decoded(piece, decode_relup)


def write_relup(relup: Relup) -> str:
    """Return the plan as a YAML document, with the line by which editors find its schema."""
    return write_yaml(relup_to_data(relup), "relup")


def decode_relup(piece: Piece) -> Relup:
    """Return the plan that stands here; raise `Malformed` when there is none."""
    fields = piece.required("direction", "base", "goal", "script")
    back = fields.get("way_back")
    return Relup(
        direction=fields["direction"].choice(*get_args(Direction)),
        base=_release(fields["base"]),
        goal=_release(fields["goal"]),
        script=_script(fields["script"]),
        way_back=None if back is None or back.data is None else _script(back),
        warnings=tuple([decode_warning(w) for w in fields["warnings"].items()]) if "warnings" in fields else (),
    )


def release_from_data(data: Mapping[str, Any]) -> Release:
    """Return the release that *data* describes; raise `InvalidInput` when it describes none."""
    return reader.decoded(Piece(data), _release)


def _script(piece: Piece) -> tuple[LowLevel, ...]:
    return tuple([_low_level(p) for p in piece.items()])


def _low_level(piece: Piece) -> LowLevel:
    instruction = read_instruction(piece)
    if isinstance(instruction, HighLevel):
        raise Malformed(f"a script has low-level instructions only, found {type(instruction).__name__}", piece.location)
    return instruction


def _release(piece: Piece) -> Release:
    fields = piece.required("name", "vsn")
    return Release(
        name=fields["name"].text(),
        vsn=fields["vsn"].text(),
        applications=tuple([_application(a) for a in fields["applications"].items()])
        if "applications" in fields
        else (),
        root=fields["root"].text() if "root" in fields else "",
        kind=fields["kind"].choice(*get_args(NodeKind)) if "kind" in fields else "python",
        erts=fields["erts"].text() if "erts" in fields else None,
        location=piece.location,
    )


def _application(piece: Piece) -> Application:
    fields = piece.required("name", "vsn")
    prints, extensions = (fields[k].entries() if k in fields else {} for k in ("fingerprints", "extensions"))
    optional: dict[str, Any] = {k: fields[k].texts() for k in ("modules", "applications") if k in fields}
    optional |= {"args": fields["args"].value()} if "args" in fields else {}
    optional |= {"start": fields["start"].text()} if "start" in fields else {}
    optional |= {"type": fields["type"].choice(*get_args(ApplicationType))} if "type" in fields else {}
    return Application(
        name=fields["name"].text(),
        vsn=fields["vsn"].text(),
        fingerprints={module: p.text() for module, p in prints.items()},
        extensions={module: p.text() for module, p in extensions.items()},
        appup=decode_appup(fields["appup"]) if "appup" in fields else None,
        location=piece.location,
        **optional,
    )


def decode_warning(piece: Piece) -> Diagnostic:
    """Return the warning that stands here; raise `Malformed` when there is none."""
    fields = piece.required("code", "message")
    return Diagnostic(
        code=fields["code"].text(),
        message=fields["message"].text(),
        location=piece.location if isinstance(piece.data, dict) and "at" in piece.data else None,
        severity=fields["severity"].choice(*get_args(Severity)) if "severity" in fields else "error",
        hint=fields["hint"].text() if "hint" in fields else None,
    )


def release_to_data(release: Release) -> dict[str, Any]:
    """Return a release as JSON-compatible data."""
    applications = [_application_data(a) for a in release.applications]
    data = {"name": release.name, "vsn": release.vsn, "root": release.root, "kind": release.kind}
    data |= {"erts": release.erts} if release.erts is not None else {}
    return data | {"applications": applications} | at(release.location, True)


def _application_data(application: Application) -> dict[str, Any]:
    given: dict[str, Any] = {
        "start": application.start,
        "args": application.args,
        "type": application.type if application.type != "permanent" else None,
        "applications": list(application.applications) or None,
        "modules": list(application.modules) or None,
        "fingerprints": dict(sorted(application.fingerprints.items())) or None,
        "extensions": dict(sorted(application.extensions.items())) or None,
        "appup": encode_appup(application.appup, places=True) if application.appup else None,
    }
    data = {"name": application.name, "vsn": application.vsn} | {k: v for k, v in given.items() if v is not None}
    return data | at(application.location, True)


def warning_data(warning: Diagnostic) -> dict[str, Any]:
    """Return a warning as data."""
    data = {"code": warning.code, "message": warning.message, "severity": warning.severity}
    return data | ({"hint": warning.hint} if warning.hint is not None else {}) | at(warning.location, True)


def _odd(data: Any, depth: int = DEPTH) -> str | None:
    """Say what in *data* JSON cannot carry, if anything."""
    if depth < 0:
        return f"collections that are nested more than {DEPTH} deep"
    match data:
        case dict():
            odd_keys = (f"the key {k!r}" for k in data if not isinstance(k, str))
            return next(odd_keys, None) or next((o for v in data.values() if (o := _odd(v, depth - 1))), None)
        case list():
            return next((o for v in data if (o := _odd(v, depth - 1))), None)
        case float():
            return None if math.isfinite(data) else f"the number {data}"
        case None | str() | bool() | int():
            return None
        case _:
            return f"{data!r:.60} ({type(data).__name__})"
