"""YAML as plain data with places, and none of YAML 1.1's surprises.

PyYAML's own constructor turns `on` into True, `010` into 8, `1.10` into 1.1 and `2026-11-22` into a date, keeps
the last of two equal keys, and overflows the stack on a deep file. So only its event parser is used. Here an
unquoted number stays the text that it was written as (`Plain`) until a field wants a number: whether `1.10` is a
version or a float is known to the schema, not to the scalar. `null`, `~`, true and false are what they are in
YAML 1.2; everything else is text.

Only a syntax error, which leaves nothing to go on with, ends the reading; everything else is found at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.piece import DEPTH, Piece
from relup.document.text import location
from relup.document.yaml_builder import Builder, GiveUp

try:
    from yaml.cyaml import CParser as Parser  # type: ignore[attr-defined]  # its stubs hide it
except ImportError:  # PyYAML was built without libyaml: the same events, slower
    from yaml import SafeLoader as Parser  # type: ignore[assignment]  # it has the same two methods

# What YAML calls non-printable, checked here so that both of PyYAML's parsers say the same; and what YAML 1.1 takes
# for the end of a line in the middle of a text, and nobody else does.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_yaml(text: str, file: str, parser: Any = Parser) -> Piece:
    """Return the one document of *text* with its places; raise `InvalidInput` with everything that is wrong."""
    if found := _FORBIDDEN.search(text):
        if (piece := _json(text, file)) is not None:
            return piece
        raise InvalidInput([_forbidden(found.group(), location(file, text, found.start()))])
    builder = Builder(file)
    try:
        for event in _events(text, parser):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        if (piece := _json(text, file)) is not None:
            return piece
        builder.problems.append(_syntax(error, text, file))
    except yaml.YAMLError as error:
        builder.problems.append(Diagnostic("yaml_syntax", " ".join(str(error).split()), Location(file, 1, 1)))
    except GiveUp:
        pass
    if not builder.problems and not builder.documents:
        builder.problems.append(Diagnostic("empty_file", "the file is empty", Location(file, 1, 1)))
    if builder.problems:
        raise InvalidInput(sorted(builder.problems, key=lambda p: (p.location or Location("", 0, 0), p.message)))
    return Piece(builder.root, file, builder.place)


def _events(text: str, parser: Any) -> Iterator[Any]:
    source = parser(text)
    while source.check_event():
        yield source.get_event()


def _forbidden(character: str, place: Location) -> Diagnostic:
    name = "a NUL character" if character == "\0" else f"the control character U+{ord(character):04X}"
    return Diagnostic("control_character", f"{name} cannot stand in a document", place)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Diagnostic:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Diagnostic("yaml_syntax", " ".join(str(error).split()), Location(file, 1, 1))
    place = Location(file, mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        return Diagnostic("yaml_syntax", "a tab stands here; YAML is indented with spaces", place)
    said = " ".join(f"{error.problem or 'not YAML'} {error.context or ''}".split())
    began = error.context_mark.line + 1 if error.context_mark else place.line
    return Diagnostic("yaml_syntax", said + (f" that starts in line {began}" if began != place.line else ""), place)


def _json(text: str, file: str) -> Piece | None:
    """Read what is JSON but not YAML (an escaped pair of surrogates, a raw DEL); its places are the file's start."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return Piece(data, file, (1, 1)) if _shallow(data) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(data := dict(pairs)) < len(pairs):
        raise ValueError("duplicate key")
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    if abs(number := float(text)) == float("inf"):
        raise ValueError(text)
    return number


def _shallow(data: Any) -> bool:
    level = [data]
    for _ in range(DEPTH):
        level = [v for c in level if isinstance(c, dict | list) for v in (c.values() if isinstance(c, dict) else c)]
    return not level
