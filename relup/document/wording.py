"""What stands in a document, and what should, in a few words.

A message names the kind of what was found and at most the start of it: a value may be a megabyte, and what
people need is its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, TypeAlias

from relup.document.piece import Plain, plain

Schema: TypeAlias = Mapping[str, Any]

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}

_PYTHON: Mapping[str, type] = {"string": str, "object": dict, "array": list, "null": NoneType}


def found(data: Any) -> str:
    """Say what stands there, in a few words however large it is."""
    match data:
        case None:
            return "nothing"
        case bool():
            return str(data).lower()
        case Plain() | int() | float():
            return f"the number {short(str(data))}"
        case "":
            return "an empty text"
        case str():
            return f"the text {short(data)!r}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return f"a {type(data).__name__}"


def short(text: str, most: int = 40) -> str:
    """Return the start of a text."""
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(words: Iterable[str]) -> str:
    """Return words as people list them: a, b or c."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def expected(schema: Schema) -> Iterator[str]:
    """Yield what a part of a schema takes: its words, or its types."""
    if "enum" in schema:
        yield from map(str, schema["enum"])
    elif "anyOf" in schema:
        for branch in schema["anyOf"]:
            yield from expected(branch)
    else:
        yield from (_WORDS[t] for t in _types(schema))


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def fits(data: Any, types: str | list[str]) -> bool:
    """Say whether *data* is of one of the types; an unquoted number is a text too, as `vsn: 1.10` wants it."""
    if isinstance(types, str):
        if types == "integer":
            return isinstance(plain(data), int) and not isinstance(data, bool)
        return isinstance(data, _PYTHON[types])
    return any(fits(data, t) for t in types)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Ask for the known word that is nearest, if one is near."""
    near = difflib.get_close_matches(word, known, 1) if len(word) <= 60 else []
    return f" (did you mean {near[0]!r}?)" if near else ""
