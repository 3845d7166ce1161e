"""What an appup wants to be asked before anybody goes on, and again after that (`verify`).

A probe says no by raising, by returning `False`, and by not answering in time. Whatever else it returns is a yes: a
check that is made of assertions returns None. In a window it is asked while everybody stands still, so whoever it calls
does not answer; what the suspended hold is read with `sys.get_state`, which they do answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isawaitable
from typing import Any

from relup.diagnostics import Diagnostic, in_words
from relup.executor import EffectFailed
from relup.model.instructions import Verify
from relup.model.naming import describe
from relup.runtime import Node
from relup.runtime.context import inside, probe_variable
from relup.targets.python.blame import place_of
from relup.targets.python.bounded import Overdue, within
from relup.targets.python.calls import function_of
from relup.targets.python.failing import overdue
from relup.targets.python.threads import is_cancelled
from relup.targets.python.watchdog import Overrun, Watchdog

PATIENCE = 5.0
"""Seconds for a probe to answer where nobody said another limit."""
STANDING_STILL = "while its processes stood still"
RUNNING = "when its processes ran again"
_TOO_LONG = "a process that is suspended answers no call: read what it holds with sys.get_state, or give it a `timeout`"


def patience(probe: Verify) -> float:
    """Return how many seconds a probe may take."""
    return probe.timeout / 1000 if isinstance(probe.timeout, int) else PATIENCE


async def ask(node: Node, watchdog: Watchdog, probe: Verify, when: str) -> None:
    """Ask one probe in *node*. Raises `EffectFailed` with what it said, unless that is yes.

    *watchdog* interrupts a function that holds the loop up.
    """
    seconds = patience(probe)
    hint = None
    try:
        with inside(node):
            answer = await within(seconds, _probing(watchdog, probe, seconds))
        said = "returned False" if isinstance(answer, bool) and not answer else None
    except BaseException as error:
        if is_cancelled():
            raise
        if isinstance(error, Overrun):
            said = overdue(error)
        elif isinstance(error, Overdue):
            said, hint = f"did not answer within {seconds:g} s", _TOO_LONG if when == STANDING_STILL else None
        else:
            said = f"failed: {in_words(error)}{place_of(error)}"
    if said is not None:
        message = f"{describe(probe)} {said}, {when}"
        raise EffectFailed(Diagnostic("verify_failed", message, probe.location, hint=hint))


async def _probing(watchdog: Watchdog, probe: Verify, seconds: float) -> Any:
    token = probe_variable.set(True)
    try:
        function = function_of(probe.call)
        with watchdog.step("{0}", seconds) as step:  # nobody else has his turn in it, so steps end in their order
            step.at = describe(probe)
            answer = function(*probe.call.args)
        return await answer if isawaitable(answer) else answer
    finally:
        probe_variable.reset(token)


async def ask_each(node: Node, watchdog: Watchdog, probes: Sequence[Verify]) -> None:
    """Ask all of them while everybody runs. Raises `EffectFailed` with every no."""
    said: list[Diagnostic] = []
    for probe in probes:
        try:
            await ask(node, watchdog, probe, RUNNING)
        except EffectFailed as no:
            said += no.diagnostics
    if said:
        raise EffectFailed(*said)
