"""The agent that is shipped is what its sources say."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

from relup.targets.beam.agent import MODULES
from tests.support import require_erl

ROOM = resources.files("relup.targets.beam")
SAME = """
    Md5 = fun(Folder, M) -> {ok, {_, D}} = beam_lib:md5(filename:join(Folder, M)), D end,
    [Made, Shipped | Modules] = init:get_plain_arguments(),
    io:put_chars(lists:join(" ", [M || M <- Modules, Md5(Made, M) =/= Md5(Shipped, M)])), halt().
"""


def test_the_shipped_agent_is_compiled_from_its_sources(tmp_path: Path) -> None:
    require_erl()
    with resources.as_file(ROOM) as room:
        assert sorted(path.stem for path in room.glob("relup_agent*.erl")) == sorted(MODULES)
        sources = [room / f"{module}.erl" for module in MODULES]
        subprocess.run(["erlc", "-Werror", "+deterministic", "+r24", "-o", tmp_path, *sources], check=True)
        command = ["erl", "-noshell", "-eval", SAME, "-extra", tmp_path, room, *MODULES]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
