"""The appup that ships with an application: in one of a few places, in one of two languages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.appup import checked_appup
from relup.document.todos import unanswered
from relup.model.appup import Appup


def shipped_appup(
    name: str, vsn: str, places: Sequence[Path], spelling: Callable[[str], str] = str
) -> Iterator[Appup | Diagnostic]:
    """Yield the appup of an application that lies at one of *places*, if any does, or what is wrong with it.

    Names of applications are the same when *spelling* makes the same of them.

    An appup that leads to another version than the application has is none of these faults: OTP only warns.
    """
    match [p for p in places if os.path.lexists(p)]:
        case []:
            pass
        case [path]:
            try:
                yield _read(path, name, vsn, spelling)
            except InvalidInput as error:
                yield from error.diagnostics
        case [first, second, *_]:
            message = f"the application {name!r} has two appups, the other is {first}"
            yield Diagnostic("duplicate_appup", message, Location(str(second), 1, 1))
        case _:
            raise AssertionError("a list has no other lengths")


def _read(path: Path, name: str, vsn: str, spelling: Callable[[str], str]) -> Appup:
    if path.suffix == ".appup":
        from relup.document.erlang.appup import read_erlang_appup  # noqa: PLC0415  Python releases need no grammar

        return read_erlang_appup(path, vsn)
    piece = reader.parse(path)
    appup = checked_appup(piece, unanswered(path))
    if spelling(appup.application) != name:
        message = f"this is the appup of {appup.application!r}, its file is named for {name!r}"
        place = piece.fields()["application"].location
        raise InvalidInput([Diagnostic("wrong_application", message, place)])
    return replace(appup, application=name)
