"""A live node survives whatever it is asked; the long form is `python -m tests.fuzz socket --count 100000`."""

from __future__ import annotations

from tests.fuzz.socket_run import ask_much
from tests.support import Commands


def test_a_node_answers_bad_requests_and_bad_clients_and_is_upgraded_afterwards(commands: Commands) -> None:
    result = ask_much(commands, 600, 11)
    assert list(result.problems()) == []
    assert result.asked.requests >= 600
    assert {"result", "bad_request", "malformed", "wrong_base"} <= result.asked.answers.keys()
