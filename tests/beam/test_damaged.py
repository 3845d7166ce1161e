"""A file that would end whoever loads it ends no node: another Erlang reads it first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.beam.asking import LOADED
from tests.beam.nodes import Beam, copy_release
from tests.support import Commands

CODE, LITERALS, LABELS = b"Code", b"LitT", 20
"""Chunks, and where the first of them says how many labels there are, from its name on."""


def with_field(chunk: bytes, at: int, value: int) -> Callable[[bytes], bytes]:
    """Return what writes a number of 32 bits into the header of a chunk."""

    def damaged(beam: bytes) -> bytes:
        place = beam.index(chunk) + at
        return beam[:place] + value.to_bytes(4, "big") + beam[place + 4 :]

    return damaged


DAMAGES: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "more labels than there is memory for": (with_field(CODE, LABELS, 0xFFFFFFFF), "it ends the Erlang that loads it"),
    "literals of another size": (with_field(LITERALS, 8, 0xFFFFFFFF), "the code of 'depot_worker' is damaged: "),
    "instructions that nobody knows": (with_field(CODE, 28, 0xFFFFFFFF), "Erlang does not load it: badfile"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_code_is_refused_by_its_file_and_the_node_sees_none_of_it(
    commands: Commands, beam: Beam, tmp_path: Path, damage: str
) -> None:
    change, says = DAMAGES[damage]
    goal = copy_release(beam.depot["2"], tmp_path / "goal", "depot")
    (file,) = goal.glob("lib/depot-*/ebin/depot_worker.beam")
    file.write_bytes(change(file.read_bytes()))
    with beam.depot_node(interval=3_600_000) as node:
        for arguments in (["--yes"], ["--dry-run"]):
            told = commands.run("apply", node.name, goal, *arguments, exit_code=3).stderr
            assert f"{file}:1:1: " in told
            assert says in told
            assert "[bad_code]" in told
        assert node.ask(f"{{list_to_binary(element(2, application:get_key(depot, vsn))), {LOADED}}}") == ("1", [])
        assert not [line for line in node.process.lines if "rror" in line]
