"""The words of the control socket: one JSON document a line, both ways.

A request is `{"op": NAME, …}`. The node answers with any number of `{"event": {…}}` lines and one last line,
`{"result": …}` or `{"error": {"exit_code": N, "diagnostics": […]}}`. A connection may carry several requests.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relup.diagnostics import (
    Busy,
    Diagnostic,
    InvalidInput,
    Location,
    OperatorNeeded,
    Refused,
    RelupError,
    RolledBack,
)

LIMIT = 32 * 1024 * 1024
"""The longest request, in bytes: a plan of some fifty thousand modules."""
_LONGEST_ADDRESS = 100
_ERRORS = {kind.exit_code: kind for kind in (InvalidInput, Refused, RolledBack, OperatorNeeded, Busy)}


def encode(message: Any) -> bytes:
    """Return one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the document of one line. Raises `ValueError` for anything else."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def diagnostic_to_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return a diagnostic as plain data, for the wire and for `--json`."""
    place = diagnostic.location
    return {
        "code": diagnostic.code,
        "message": diagnostic.message,
        "severity": diagnostic.severity,
        "hint": diagnostic.hint,
        "location": {"file": place.file, "line": place.line, "column": place.column} if place else None,
    }


def diagnostic_from_data(data: dict[str, Any]) -> Diagnostic:
    """Return the diagnostic that `diagnostic_to_data` made."""
    place = data.get("location")
    return Diagnostic(
        data["code"], data["message"], Location(**place) if place else None, data["severity"], data.get("hint")
    )


def error_to_data(error: RelupError) -> dict[str, Any]:
    """Return an error as plain data."""
    return {"exit_code": error.exit_code, "diagnostics": [diagnostic_to_data(d) for d in error.diagnostics]}


def error_from_data(data: dict[str, Any]) -> RelupError:
    """Return the error that `error_to_data` made."""
    kind = _ERRORS.get(data["exit_code"], RelupError)
    return kind(diagnostic_from_data(d) for d in data["diagnostics"])


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Give an address for a Unix socket that is short enough for the kernel (108 bytes), whatever the path.

    A long one is reached through an open descriptor of its folder, which needs `/proc` (Linux).
    """
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end, as the kernel says. Raises `OSError` where it cannot say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        raise OSError("this system does not say who is at the other end of a socket")
    credentials = struct.Struct("3i")
    pid, uid, _ = credentials.unpack(connection.getsockopt(socket.SOL_SOCKET, option, credentials.size))
    return pid, uid
