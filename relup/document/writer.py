"""Data as YAML that a person likes to read, and that every YAML reader reads the same.

PyYAML leaves plain what YAML 1.2 readers take for numbers (`1e5`), folds long texts and has one layout for
everything. Here a text stands unquoted only when no version of YAML can take it for anything else; what fits in
a line stands in one, and a list of mappings never does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from relup.document.comments import Comments, Notes, notes

if TYPE_CHECKING:
    from relup.document.schemas import Kind

_WIDTH = 100
_KEY = 150  # YAML ends its search for a key's colon after 1,024 characters, and each may be escaped
_UNQUOTED = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*", re.ASCII)
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_UNSAID = re.compile("[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What cannot stand in a comment, which has no escapes."""
_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def write_yaml(data: dict[str, Any], kind: Kind, comments: Comments | None = None) -> str:
    """Return *data* as a YAML document that names its schema for editors; each comment stands above its part."""
    from relup.document.schemas import schema_line  # noqa: PLC0415  a node that encodes plans needs no schema

    tree = notes(comments)
    lines = [*_said(tree.texts), *_block(data, tree), *_said(comments.end if comments else ())]
    return schema_line(kind) + "".join(f"{line}\n" for line in lines)


def _block(data: Any, note: Notes) -> Iterator[str]:
    """Yield the lines of a collection that is not empty."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _entry(f"{_text(key)}:", value, note.within(key))
        return
    for n, item in enumerate(data):
        part = note.within(n)
        yield from _said(part.texts)
        lines = _block(item, part) if _spread(item) or (part.parts and not _leaf(item)) else iter([_flow(item)])
        first = next(lines)
        while first.startswith("#"):  # what is said of an item's first part stands above the item
            yield first
            first = next(lines)
        yield f"- {first}"
        yield from (f"  {line}" for line in lines)


def _entry(key: str, value: Any, note: Notes) -> Iterator[str]:
    yield from _said(note.texts)
    flows = not (note.parts or _holds_mappings(value))
    if _leaf(value) or (flows and len(key) + len(_flow(value)) < _WIDTH):
        yield f"{key} {_flow(value)}"
    else:
        yield key
        yield from (f"  {line}" for line in _block(value, note))


def _said(texts: Iterable[str]) -> Iterator[str]:
    return (f"# {_UNSAID.sub(' ', text)}".rstrip() for text in texts)


def _leaf(value: Any) -> bool:
    """Say whether a value has no lines of its own: no parts, or a key too long to stand before a colon."""
    long_key = isinstance(value, dict) and any(len(k) > _KEY for k in value)
    return long_key or not isinstance(value, dict | list) or not value


def _spread(item: Any) -> bool:
    return not (_leaf(item) or _short(item)) and (isinstance(item, dict) or _holds_mappings(item))


def _short(item: Any) -> bool:
    """Say whether an item is a few plain fields; an instruction, which has one key, never is."""
    several = isinstance(item, dict) and len(item) > 1
    return several and all(_leaf(v) for v in item.values()) and len(_flow(item)) < _WIDTH // 2


def _holds_mappings(value: Any) -> bool:
    """Say whether a list of mappings that are worth lines of their own stands in it anywhere."""
    match value:
        case dict():
            return any(_holds_mappings(v) for v in value.values())
        case list():
            return any((isinstance(v, dict) and not _short(v)) or _holds_mappings(v) for v in value)
        case _:
            return False


def _flow(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_flow_key(k)} {_flow(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(v) for v in value) + "]"
        case str():
            return _text(value)
        case _:
            return json.dumps(value, allow_nan=False)


def _flow_key(key: str) -> str:
    return f"{_text(key)}:" if len(key) <= _KEY else f"? {_text(key)} :"


def _text(text: str) -> str:
    if _UNQUOTED.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False))
