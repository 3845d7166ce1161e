"""The agent that is shipped is what its source says."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

from tests.support import require_erl

ROOM = resources.files("relup.targets.beam")
SAME = """
    Md5 = fun(Folder) -> {ok, {_, D}} = beam_lib:md5(filename:join(Folder, relup_agent)), D end,
    [Made, Shipped] = init:get_plain_arguments(),
    io:put_chars(atom_to_list(Md5(Made) =:= Md5(Shipped))), halt().
"""


def test_the_shipped_agent_is_compiled_from_its_source(tmp_path: Path) -> None:
    require_erl()
    with resources.as_file(ROOM) as room:
        source = room / "relup_agent.erl"
        subprocess.run(["erlc", "-Werror", "+deterministic", "+r24", "-o", tmp_path, source], check=True)
        command = ["erl", "-noshell", "-eval", SAME, "-extra", tmp_path, room]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "true"
