"""What is written is what is read: the values, and where their parts were written."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput, Location
from relup.document import reader, relup_from_data, relup_to_data, write_appup, write_relup
from relup.document.appup import checked_appup
from relup.document.instructions import FORMS, read_instruction, write_instruction
from relup.document.piece import Piece
from relup.document.relup import checked_relup
from relup.document.validate import check
from relup.document.writer import write_yaml
from relup.document.yaml_reader import read_yaml
from relup.model.appup import Appup
from relup.model.instructions import Apply, Call, Instruction, SyncNodes
from relup.model.release import Release
from relup.model.relup import Relup
from tests.document import strategies

quick = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def places(value: Any) -> list[Location | None]:
    """Every location within a value, in order."""
    if isinstance(value, tuple | list):
        return [p for v in value for p in places(v)]
    if not hasattr(value, "__dataclass_fields__") or isinstance(value, Location):
        return [value] if isinstance(value, Location) or value is None else []
    return [p for name in value.__dataclass_fields__ for p in places(getattr(value, name))]


@quick
@given(strategies.relups)
def test_a_plan_comes_back_from_json_with_every_place(relup: Relup) -> None:
    again = relup_from_data(json.loads(json.dumps(relup_to_data(relup))))
    assert again == relup
    assert places(again) == places(relup)


@quick
@given(strategies.relups)
def test_a_plan_comes_back_from_yaml(relup: Relup) -> None:
    assert checked_relup(read_yaml(write_relup(relup), "plan.yaml")) == relup


@quick
@given(strategies.relups)
def test_a_plan_comes_back_from_a_json_file(relup: Relup) -> None:
    for text in (json.dumps(relup_to_data(relup)), json.dumps(relup_to_data(relup), indent=2, ensure_ascii=False)):
        assert checked_relup(read_yaml(text, "plan.json")) == relup


@quick
@given(strategies.appups)
def test_an_appup_comes_back_from_yaml(appup: Appup) -> None:
    assert checked_appup(read_yaml(write_appup(appup), "a.appup.yaml")) == appup


@quick
@given(strategies.high_level | strategies.low_level)
def test_what_an_instruction_is_written_as_satisfies_its_schema(instruction: Instruction) -> None:
    written = write_instruction(instruction, places=True)
    document = {"application": "a", "vsn": "1", "up": [{"from": "0", "instructions": [written]}]}
    assert list(check(Piece(document), "appup")) == []
    assert read_instruction(Piece(written)) == instruction


@quick
@given(st.dictionaries(st.text(), strategies.data, min_size=1))
def test_any_plain_data_comes_back_from_yaml(data: dict[str, Any]) -> None:
    again = read_yaml(write_yaml(data, "appup"), "x").value()
    assert json.dumps(again) == json.dumps(data)


def test_an_empty_mapping_needs_no_lines() -> None:
    assert read_yaml(write_yaml({"args": {}}, "appup"), "x").value() == {"args": {}}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), (1, 2), b"x", {1: 2}, {"a": [object]}, [[]] * 3 + [{1}]])
def test_a_plan_refuses_what_json_cannot_carry(odd: Any) -> None:
    release = Release("r", "1")
    for instruction in (Apply(Call("m", "f", (odd,))), SyncNodes(odd, ("n",))):
        with pytest.raises(InvalidInput, match="plain data only") as caught:
            relup_to_data(Relup("up", release, release, (instruction,)))
        assert [d.code for d in caught.value.diagnostics] == ["not_plain_data"]


def test_a_plan_refuses_data_nested_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    release = Release("r", "1")
    with pytest.raises(InvalidInput, match="nested more than"):
        relup_to_data(Relup("up", release, release, (Apply(Call("m", "f", (endless,))),)))


KEYS = ["direction", "base", "goal", "script", "name", "vsn", "load", "module", "at", "modules"]
nearly = st.recursive(
    st.sampled_from(["up", "load", "m"]),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner | st.lists(inner)),
)


@quick
@given(strategies.data | nearly)
def test_data_that_is_no_plan_is_refused_and_never_a_traceback(data: Any) -> None:
    with pytest.raises(InvalidInput):
        relup_from_data(data)


BODIES = [None, 5, 1.5, True, "m", [], [1], [{}], {}, {"module": 1}, {"modules": [[]]}, {"at": "x"}, {"what": 1}]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", FORMS)
def test_an_instruction_out_of_shape_is_refused_and_never_a_traceback(name: str, body: Any) -> None:
    side = {"name": "r", "vsn": "1"}
    plan = {"direction": "up", "base": side, "goal": side, "script": [{name: body}]}
    with suppress(InvalidInput):
        assert relup_from_data(plan).script


def test_an_instruction_keeps_its_line_on_the_way_to_a_node(tmp_path: Path) -> None:
    file = tmp_path / "a.appup.yaml"
    file.write_text("application: a\nvsn: 1\nup:\n  - from: 0\n    instructions:\n      - suspend: [m, n]\n")
    (entry,) = checked_appup(reader.parse(file)).up
    release = Release("r", "1")
    (there,) = relup_from_data(relup_to_data(Relup("up", release, release, entry.instructions))).script  # type: ignore[arg-type]
    assert str(there.location) == f"{file}:6:9"
    assert [str(s.location) for s in there.modules] == [f"{file}:6:19", f"{file}:6:22"]  # type: ignore[union-attr]
