"""METADATA of a distribution: the name, the version and the requirements, with their lines.

`importlib.metadata` reads the same file, but forgets where in it something was written, and says of a file that is
no METADATA only that a key is missing. The part that matters here is a list of headers, ended by an empty line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.python.requirements import Requirement, requirement
from relup.document.text import read_text

FILE = "METADATA"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a distribution says of itself."""

    name: str
    """As it is written there."""
    vsn: str
    requires: tuple[Requirement, ...]
    location: Location
    """Where its name stands."""


@dataclass(frozen=True, slots=True)
class Header:
    """One line of headers, with what continues it."""

    key: str
    value: str
    location: Location


def read_metadata(path: Path) -> Metadata:
    """Return what the METADATA at *path* says; raise `InvalidInput` with everything that is wrong with it."""
    return parse_metadata(read_text(path), str(path))


def parse_metadata(text: str, file: str) -> Metadata:
    """Return what the METADATA *text* says; raise `InvalidInput` with everything that is wrong with it."""
    found = list(headers(text, file))
    one = {h.key: h for h in reversed(found)}
    problems = [*_bad(one, "name", _NAME, file), *_bad(one, "version", _VERSION, file)]
    requires = [requirement(h.value, h.location) for h in found if h.key == "requires-dist"]
    problems += [r for r in requires if isinstance(r, Diagnostic)]
    if problems:
        raise InvalidInput(problems)
    name = one["name"]
    needs = tuple([r for r in requires if isinstance(r, Requirement)])
    return Metadata(name.value, one["version"].value, needs, name.location)


def headers(text: str, file: str) -> Iterator[Header]:
    """Yield the headers at the beginning of *text*, their keys in lower case."""
    key, parts, began = "", [""], 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line[:1] in (" ", "\t") and key and line.strip():
            parts.append(line.strip())
            continue
        if key:
            yield Header(key.lower(), " ".join(filter(None, parts)), Location(file, began, 1))
        if not line.strip():
            return
        key, _, value = line.partition(":")
        key, parts, began = key.strip(), [value.strip()], number


def _bad(found: dict[str, Header], key: str, wanted: re.Pattern[str], file: str) -> Iterator[Diagnostic]:
    title = key.capitalize()
    header = found.get(key)
    if header is None:
        hint = "install the distribution again"
        message = f"this METADATA has no {title}"
        yield Diagnostic("bad_metadata", message, Location(file, 1, 1), hint=hint)
    elif not wanted.fullmatch(header.value):
        yield Diagnostic("bad_metadata", f"{header.value[:60]!r} is no {key} of a distribution", header.location)
