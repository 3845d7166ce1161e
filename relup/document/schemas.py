"""Where the JSON Schemas are, and what they say with every reference followed.

The schemas are files for people and editors first: they refer to each other, so that an instruction is
described once. Following a reference at every value costs more than checking it, so references are followed
once, here. No schema of relup is recursive; that is what makes it possible.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["appup", "release", "relup", "route"]
KINDS: tuple[Kind, ...] = ("appup", "release", "relup", "route")

_FOR_PEOPLE = ("$schema", "$id", "$defs", "title", "description", "examples", "default")


def schema_path(kind: Kind) -> Path:
    """Return the schema file: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    name = f"{kind}.schema.json"
    inside = package / "schemas" / name
    return inside if inside.is_file() else package.parent / "schemas" / name


def schema_line(kind: Kind) -> str:
    """Return the comment by which editors find the schema of a document: the file of this installation."""
    return f"# yaml-language-server: $schema={schema_path(kind).as_uri()}\n"


@cache
def schema(kind: Kind) -> dict[str, Any]:
    """Return the schema as its file has it; the files never change while a program runs."""
    data: dict[str, Any] = json.loads(schema_path(kind).read_text("utf-8"))
    return data


@cache
def resolved(kind: Kind, pointer: str = "") -> Any:
    """Return the schema, or the part that *pointer* names (`$defs/update`), with references followed.

    What is for people only is left out; where there is a pattern, its first example stays, for the message.
    """
    part: Any = schema(kind)
    for step in filter(None, pointer.split("/")):
        part = part[step]
    return _followed(part, kind)


def _followed(part: Any, kind: Kind) -> Any:
    match part:
        case {"$ref": str(target), **beside}:
            file, _, pointer = target.partition("#")
            other = next((k for k in KINDS if file == f"{k}.schema.json"), kind)
            return resolved(other, pointer.strip("/")) | {k: _followed(v, kind) for k, v in beside.items()}
        case dict():
            # a pattern means little to people: its example is what a message shows
            example = {"example": part["examples"][0]} if "pattern" in part else {}
            kept = {k: v for k, v in part.items() if k not in _FOR_PEOPLE}
            return {k: _each(v, kind) if k == "properties" else _followed(v, kind) for k, v in kept.items()} | example
        case list():
            return [_followed(v, kind) for v in part]
        case _:
            return part


def _each(properties: dict[str, Any], kind: Kind) -> dict[str, Any]:
    return {name: _followed(part, kind) for name, part in properties.items()}
