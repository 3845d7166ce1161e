"""The agent that is shipped is what its source says."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

from tests.support import require_erl

ROOM = resources.files("relup.targets.beam")


def test_the_shipped_agent_is_compiled_from_its_source(tmp_path: Path) -> None:
    require_erl()
    with resources.as_file(ROOM / "relup_agent.erl") as source:
        subprocess.run(["erlc", "+deterministic", "+r24", "-o", tmp_path, source], check=True)
    made = tmp_path / "relup_agent.beam"
    with resources.as_file(ROOM / "relup_agent.beam") as shipped:
        ask = "F = fun(X) -> {ok, {_, D}} = beam_lib:md5(X), D end, [A, B] = init:get_plain_arguments(), "
        ask += "io:put_chars(atom_to_list(F(A) =:= F(B))), halt()."
        done = subprocess.run(
            ["erl", "-noshell", "-eval", ask, "-extra", made, shipped], capture_output=True, text=True, check=True
        )
    assert done.stdout == "true"
