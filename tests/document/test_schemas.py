"""The schema files: valid, described, complete, and the same to every validator as to ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from relup.document.instructions import FORMS, read_instruction, write_instruction
from relup.document.piece import Piece
from relup.document.schemas import KINDS, Kind, resolved, schema, schema_line, schema_path
from relup.document.validate import CODES, check
from relup.model.instructions import HighLevel, Instruction, LowLevel
from tests.document import strategies

REGISTRY: Any = Registry().with_resources((schema_path(k).as_uri(), Resource.from_contents(schema(k))) for k in KINDS)
ANNOTATIONS = {"$schema", "$id", "$defs", "$ref", "title", "description", "examples", "default", "then", "else", "if"}


def parts(part: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, with its path."""
    if not isinstance(part, dict):
        return
    yield path, part
    for name in ("properties", "$defs"):
        for key, inner in part.get(name, {}).items():
            yield from parts(inner, f"{path}/{name}/{key}")
    for name in ("items", "additionalProperties"):
        yield from parts(part.get(name), f"{path}/{name}")
    for name in ("anyOf", "prefixItems"):
        for n, inner in enumerate(part.get(name, [])):
            yield from parts(inner, f"{path}/{name}/{n}")


EVERY = [(kind, path) for kind in KINDS for path, _ in parts(schema(kind))]


def part_at(kind: Kind, path: str) -> dict[str, Any]:
    return dict(parts(schema(kind)))[path]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid(kind: Kind) -> None:
    assert schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema_line(kind) == f"# yaml-language-server: $schema={schema_path(kind).as_uri()}\n"
    Draft202012Validator.check_schema(schema(kind))


@pytest.mark.parametrize(("kind", "path"), EVERY)
def test_every_part_is_described_and_its_examples_hold(kind: Kind, path: str) -> None:
    part = part_at(kind, path)
    if "$ref" in part:
        return
    assert part["title"]
    assert part["description"].endswith(".")
    validator = Draft202012Validator(
        {"$ref": f"{schema_path(kind).as_uri()}{path}"},
        registry=REGISTRY,
    )
    assert part["examples"]
    for example in part["examples"]:
        validator.validate(example)


@pytest.mark.parametrize(("kind", "path"), EVERY)
def test_every_keyword_has_words_and_every_choice_is_told_by_type(kind: Kind, path: str) -> None:
    part = part_at(kind, path)
    assert part.keys() - ANNOTATIONS <= CODES.keys()
    if "anyOf" in part:
        types = [
            t for b in resolved_branches(kind, path) for t in ([b["type"]] if isinstance(b["type"], str) else b["type"])
        ]
        assert len(set(types)) == len(types)


def resolved_branches(kind: Kind, path: str) -> list[Any]:
    branches: list[Any] = resolved(kind, path.removeprefix("#").strip("/"))["anyOf"]
    return branches


def test_every_instruction_of_the_model_has_a_form_and_a_schema_and_nothing_else_has() -> None:
    low = {name for name, form in FORMS.items() if form.type in get_args(LowLevel)}
    high = {name for name, form in FORMS.items() if form.type in get_args(HighLevel)}
    assert {form.type for form in FORMS.values()} == set(get_args(Instruction))
    assert set(part_at("appup", "#/$defs/instruction/anyOf/1")["properties"]) == low | high
    assert set(part_at("appup", "#/$defs/low_level_instruction/anyOf/1")["properties"]) == low


@pytest.mark.parametrize("name", FORMS)
def test_every_field_of_an_instruction_is_in_its_schema_and_nothing_else_is(name: str) -> None:
    written = set(resolved("appup", f"$defs/{name}")["properties"])
    kept = {f.name for f in fields(FORMS[name].type)} - {"location"} | {"at"}
    if name in ("apply", "verify"):
        kept = kept - {"call"} | {"module", "function", "args"}
    if name == "suspend":
        kept |= {"module", "timeout"}
    assert written == kept


@pytest.mark.parametrize("name", FORMS)
def test_the_examples_of_an_instruction_are_read(name: str) -> None:
    for example in part_at("appup", f"#/$defs/{name}")["examples"]:
        instruction = read_instruction(Piece({name: example}))
        assert type(instruction) is FORMS[name].type
        assert read_instruction(Piece(write_instruction(instruction, places=False))) == instruction


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_of_documents_pass_our_own_check(kind: Kind) -> None:
    assert [list(check(Piece(example), kind)) for example in schema(kind)["examples"]] == [[]]


broken = [None, "", "x", 5, -1, 1.5, True, [], ["x"], {}, {"x": 1}, {"module": "m"}]


@settings(max_examples=150, deadline=None)
@given(
    strategies.st.sampled_from(list(FORMS)),
    strategies.st.recursive(
        strategies.st.sampled_from(broken),
        lambda inner: (
            strategies.st.dictionaries(
                strategies.st.sampled_from(
                    [
                        "module",
                        "modules",
                        "depends",
                        "change",
                        "timeout",
                        "at",
                        "advanced",
                        "undo",
                        "function",
                        "args",
                        "nodes",
                        "changes",
                        "keep",
                        "instances",
                    ]
                ),
                inner,
                max_size=3,
            )
            | strategies.st.lists(inner, max_size=3)
        ),
    ),
)
def test_our_check_and_a_stock_validator_agree(name: str, body: Any) -> None:
    document = {"application": "a", "vsn": "1", "up": [{"from": "0", "instructions": [{name: body}]}]}
    stock = Draft202012Validator({"$ref": schema_path("appup").as_uri()}, registry=REGISTRY)
    assert stock.is_valid(document) == (not list(check(Piece(document), "appup")))
    if stock.is_valid(document):
        read_instruction(Piece({name: body}))
