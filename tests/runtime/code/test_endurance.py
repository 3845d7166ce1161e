"""Two hundred upgrades in a row leave the process as it was: nothing grows, and what was dropped is freed."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest

ROUNDS = 200


@pytest.mark.parametrize("how", ["purged", "undone"])
def test_two_hundred_swaps_in_a_row_leave_everything_as_it_was(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.code.endurance", how, str(ROUNDS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    release, _, *counted = (json.loads(line) for line in done.stdout.splitlines() if line)
    assert (release["functions"] > 200, release["classes"]) == (True, 54)
    assert len(counted) == 9, "the first tenth warms caches up"
    assert all(count["freed"] for count in counted)
    grown = [{key: (a[key], b[key]) for key in a if a[key] != b[key]} for a, b in pairwise(counted)]
    assert grown == [{}] * 8
