"""A hundred upgrades in a row leave the process as it was: nothing grows, and what was dropped is freed."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

ROUNDS = 100


@pytest.mark.parametrize("how", ["purged", "undone"])
def test_a_hundred_swaps_in_a_row_leave_everything_as_it_was(how: str) -> None:
    release, *counted = lines_of("tests.runtime.code.endurance", how, str(ROUNDS))
    assert (release["functions"] > 200, release["classes"]) == (True, 54)
    assert growth(counted) == [{}] * 8


def test_a_hundred_upgrades_of_a_live_node_leave_everything_as_it_was() -> None:
    assert growth(lines_of("tests.node.endurance", str(ROUNDS))) == [{}] * 8


def lines_of(module: str, *arguments: str) -> list[dict[str, Any]]:
    """Run *module* in a process of its own; return the JSON that it printed."""
    argv = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def growth(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what changed between counts; the first tenth warms caches up."""
    assert all(count["freed"] for count in counted[1:])
    return [{key: (a[key], b[key]) for key in a if a[key] != b[key]} for a, b in pairwise(counted[1:])]
