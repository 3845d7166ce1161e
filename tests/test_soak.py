"""Twenty upgrades in a row of a node under load, some of which fail or lose their controller, leave nothing behind.

`python -m benchmarks.soak` does the same a thousand times, and looks at memory and time as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import TARGETS, figures, soak
from tests.support import require_erl

MEASURED = ("memory", "allocated", "gc objects", "history", "file descriptors", "threads", "asyncio tasks")
"""What goes up and down by itself: twenty rounds are too few to tell that from growth."""


@pytest.mark.parametrize("target", [*TARGETS])
def test_twenty_upgrades_under_load_lose_no_message_and_leave_nothing_behind(target: str, tmp_path: Path) -> None:
    if target == "beam":
        require_erl()
    with TARGETS[target].start(tmp_path) as subject:
        course = soak(subject, 20, 120, print, counts=4, quiet_for=0.05)
        whole = subject.stop()
    assert course.surprises == []
    assert {kind for kind, _ in course.upgrades} == {"plain", "deadline", "fails", "lost"}
    assert (whole.received, whole.wrong) == (whole.sent, 0)
    assert whole.received > 1_000
    counted = [f for f in figures(course, TARGETS[target]) if not f.what.startswith(MEASURED)]
    assert len(counted) >= 15
    assert [str(f) for f in counted if f.last > f.first] == []
