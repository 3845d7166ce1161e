"""The bridge that is shipped is the one whose source is beside it, and old enough for old releases."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import relup.targets.beam
from tests.support import require_erl

HERE = Path(relup.targets.beam.__file__).parent
OLDEST = ("+r22", "+deterministic", "+no_debug_info", "-Werror")
"""`erlc` with these, in the folder of the source, makes the file that is shipped."""
MD5 = """
    Read = fun(F) -> {ok, {_, [{compile_info, I}]}} = beam_lib:chunks(F, [compile_info]),
        {ok, {_, Md5}} = beam_lib:md5(F), {proplists:get_value(version, I), Md5} end,
    {{Version, Shipped}, {Here, Made}} = {Read("%s"), Read("%s")},
    io:format("~s", [if Version =/= Here -> "another compiler"; Shipped =:= Made -> "same"; true -> "different" end]),
    halt().
"""


def test_the_shipped_bridge_is_made_from_the_source_beside_it(tmp_path: Path) -> None:
    require_erl()
    subprocess.run(("erlc", *OLDEST, "-o", str(tmp_path), str(HERE / "relup_bridge.erl")), check=True)
    ask = MD5 % (HERE / "relup_bridge.beam", tmp_path / "relup_bridge.beam")
    said = subprocess.run(("erl", "-noinput", "-eval", ask), capture_output=True, text=True, check=True).stdout
    if said == "another compiler":
        pytest.skip("another version of the compiler made the bridge that is shipped")
    assert said == "same"
