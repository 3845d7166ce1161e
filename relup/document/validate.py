"""Documents against their JSON Schemas, with errors for people.

jsonschema does the checking, but its own words print the whole instance, and its way of descending builds a
validator for every value (10,000 instructions: 0.6 s). So the keywords that the schemas use are told here what
to say, and descend in place. Two rules keep that simple, and a test holds the schemas to them: the alternatives
of an `anyOf` differ by `type`, so the one that was meant is known; and a reference is followed before
(`schemas.resolved`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from relup.diagnostics import Diagnostic
from relup.document.otp_tags import BAD_INSTRUCTION, otp_tag
from relup.document.piece import MOST, TOO_MANY, Piece, locate
from relup.document.schemas import Kind, resolved
from relup.document.wording import Schema, expected, fits, found, listed, short, suggestion

Errors: TypeAlias = Iterator[ValidationError]

CODES = {
    "type": "wrong_type",
    "anyOf": "wrong_type",
    "enum": "unknown_value",
    "required": "missing_key",
    "additionalProperties": "unknown_key",
    "properties": "unknown_key",
    "minProperties": "no_instruction",
    "maxProperties": "several_instructions",
    "prefixItems": "too_many_items",
    "items": "too_many_items",
    "minItems": "too_few_items",
    "minLength": "empty_text",
    "minimum": "negative_number",
    "pattern": "bad_text",
}
"""The code of what breaks each keyword; a keyword that is not here must not stand in a schema."""
_OF_VALUES = frozenset(
    {"wrong_type", "unknown_value", "empty_text", "negative_number", "bad_text", "too_few_items", "too_many_items"}
)
"""The codes that say what a value is; where OTP has a tag for its field, that says where."""


def check(piece: Piece, kind: Kind) -> Iterator[Diagnostic]:
    """Yield what the schema of *kind* says against the document, up to `MOST` problems, in no stated order."""
    for n, error in enumerate(_validator(kind).iter_errors(piece.data), 1):
        found = _diagnostic(piece, error)
        yield found
        if n == MOST:
            yield Diagnostic("too_many_problems", TOO_MANY, found.location)
            return


@cache
def _validator(kind: Kind) -> Any:
    return _Validator(resolved(kind))


def _diagnostic(piece: Piece, error: ValidationError) -> Diagnostic:
    path = list(error.absolute_path)
    code, key = CODES[str(error.validator)], None
    if code in ("unknown_key", "several_instructions"):
        key = str(path.pop())
    if code == "unknown_key" and "instruction" in error.message[:20]:
        code = BAD_INSTRUCTION
    elif code in _OF_VALUES:
        code = otp_tag(path) or code
    return Diagnostic(code, error.message, locate(piece, path, key=key))


# ── the keywords ───────────────────────────────────────────────────────────────────────────────────────


def _descend(validator: Any, data: Any, schema: Any, step: str | int | None = None) -> Errors:
    """Check *data* against a part of the schema, as `Validator.descend` does but without building a validator."""
    keywords = validator.VALIDATORS
    for keyword, value in schema.items():
        if (told := keywords.get(keyword)) is None:
            continue
        for error in told(validator, value, data, schema) or ():
            error._set(validator=keyword, validator_value=value, instance=data, schema=schema)
            if step is not None:
                error.path.appendleft(step)
            yield error


def _type(validator: Any, types: Any, data: Any, schema: Schema) -> Errors:
    if not fits(data, types):
        yield ValidationError(f"expected {listed(expected(schema))}, found {found(data)}")


def _any_of(validator: Any, branches: list[Any], data: Any, schema: Schema) -> Errors:
    for branch in branches:
        if fits(data, branch["type"]):
            yield from (
                _enum(validator, branch["enum"], data, schema)
                if "enum" in branch
                else _descend(validator, data, branch)
            )
            return
    yield ValidationError(f"expected {listed(expected(schema))}, found {found(data)}")


def _enum(validator: Any, values: list[Any], data: Any, schema: Schema) -> Errors:
    if isinstance(data, str) and data not in values:
        message = f"expected {listed(expected(schema))}, found {found(data)}{suggestion(data, values)}"
        yield ValidationError(message, validator="enum")


def _properties(validator: Any, properties: Schema, data: Any, schema: Schema) -> Errors:
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        part = properties.get(key)
        if part is False:
            yield ValidationError(f"the key {key!r} cannot stand here", path=[key])
        elif part is not None:
            yield from _descend(validator, value, part, key)


def _additional(validator: Any, rest: Any, data: Any, schema: Schema) -> Errors:
    known = schema.get("properties", {})
    if not isinstance(data, dict) or data.keys() <= known.keys():
        return
    noun = "instruction" if "maxProperties" in schema else "key"
    for key in [k for k in data if k not in known]:
        if rest is False:
            hint = suggestion(key, known) or f"; known: {', '.join(known)}"
            yield ValidationError(f"unknown {noun} {short(key)!r}{hint}", path=[key])
        else:
            yield from _descend(validator, data[key], rest, key)


def _required(validator: Any, names: list[str], data: Any, schema: Schema) -> Errors:
    if isinstance(data, dict):
        for name in names:
            if name not in data:
                yield ValidationError(f"missing key {name!r}")


def _items(validator: Any, part: Any, data: Any, schema: Schema) -> Errors:
    if not isinstance(data, list):
        return
    before = len(schema.get("prefixItems", ()))
    if part is not False:
        for n, item in enumerate(data[before:], before):
            yield from _descend(validator, item, part, n)
    elif len(data) > before:
        yield ValidationError(f"expected at most {before} items, found {len(data)}", path=[before])


def _prefix_items(validator: Any, parts: list[Any], data: Any, schema: Schema) -> Errors:
    if isinstance(data, list):
        for n, (item, part) in enumerate(zip(data, parts, strict=False)):
            yield from _descend(validator, item, part, n)


def _min_items(validator: Any, least: int, data: Any, schema: Schema) -> Errors:
    if isinstance(data, list) and len(data) < least:
        yield ValidationError(f"expected at least {least} item{'s' * (least > 1)}, found {len(data) or 'none'}")


def _min_length(validator: Any, least: int, data: Any, schema: Schema) -> Errors:
    if isinstance(data, str) and len(data) < least:
        yield ValidationError("expected text, found an empty text")


def _minimum(validator: Any, least: int, data: Any, schema: Schema) -> Errors:
    if fits(data, "integer") and int(data) < least:
        yield ValidationError(f"expected {least} or more, found {found(data)}")


def _pattern(validator: Any, pattern: str, data: Any, schema: Schema) -> Errors:
    # what JSON Schema calls the end of a text, Python calls \Z: its $ lets a line break pass
    if isinstance(data, str) and not re.search(pattern.replace("$", r"\Z"), data):
        example = schema["example"]
        yield ValidationError(f"expected something like {example}, found {found(data)}")


def _min_properties(validator: Any, least: int, data: Any, schema: Schema) -> Errors:
    if isinstance(data, dict) and len(data) < least:
        yield ValidationError("an instruction has exactly one key, found none")


def _max_properties(validator: Any, most: int, data: Any, schema: Schema) -> Errors:
    if isinstance(data, dict) and len(data) > most:
        keys = ", ".join(short(k) for k in list(data)[:4])
        hint = "its fields stand one level deeper"
        yield ValidationError(
            f"an instruction has exactly one key, found {len(data)}: {keys} ({hint})", path=[list(data)[most]]
        )


def _condition(validator: Any, condition: Schema, data: Any, schema: Schema) -> Errors:
    """Choose by the presence of keys, all that `if` is used for."""
    if isinstance(data, dict):
        branch = "then" if all(k in data for k in condition["required"]) else "else"
        yield from _descend(validator, data, schema.get(branch, {}))


_Validator = extend(  # type: ignore[no-untyped-call]  # its stubs leave it so
    Draft202012Validator,
    validators={
        "type": _type,
        "anyOf": _any_of,
        "enum": _enum,
        "properties": _properties,
        "additionalProperties": _additional,
        "required": _required,
        "items": _items,
        "prefixItems": _prefix_items,
        "minItems": _min_items,
        "minLength": _min_length,
        "minimum": _minimum,
        "pattern": _pattern,
        "minProperties": _min_properties,
        "maxProperties": _max_properties,
        "if": _condition,
    },
)
