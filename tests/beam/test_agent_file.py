"""The agent that is shipped is what its source says, and so is what rehearsals are done in."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from tests.support import require_erl

ROOM = resources.files("relup.targets.beam")
SAME = """
    [Made, Shipped, Name] = init:get_plain_arguments(),
    Md5 = fun(Folder) -> {ok, {_, D}} = beam_lib:md5(filename:join(Folder, Name)), D end,
    io:put_chars(atom_to_list(Md5(Made) =:= Md5(Shipped))), halt().
"""


@pytest.mark.parametrize("name", ["relup_agent", "relup_peer"])
def test_what_is_shipped_is_compiled_from_its_source(name: str, tmp_path: Path) -> None:
    require_erl()
    with resources.as_file(ROOM) as room:
        source = room / f"{name}.erl"
        subprocess.run(["erlc", "-Werror", "+deterministic", "+r24", "-o", tmp_path, source], check=True)
        command = ["erl", "-noshell", "-eval", SAME, "-extra", tmp_path, room, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "true"
