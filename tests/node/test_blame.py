"""What of a traceback is shown: the program's own frames, and not all of those of a recursion."""

from __future__ import annotations

import pytest

from relup.targets.python.blame import FRAMES, program_frames


def ping(number: int) -> int:
    return pong(number + 1)


def pong(number: int) -> int:
    return ping(number + 1)


def test_of_a_recursion_through_two_functions_both_ends_are_shown() -> None:
    with pytest.raises(RecursionError) as raised:
        ping(0)
    lines = program_frames(raised.value)
    assert len(lines) == 2 * FRAMES + 2
    assert "more …" in lines[FRAMES]
    assert lines[-1].startswith("RecursionError")
