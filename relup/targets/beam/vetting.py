"""Code that a node is to load, read by another Erlang first.

OTP trusts what it loads. One flipped bit in the header of a chunk makes its loader ask for more memory than there is,
which ends the node, or keeps it busy for ever; and what it does refuse it tells the node's log. So the bridge, an
Erlang of relup's own, gets all code to read before the node does. Where its OTP is not that of the node, only what ends
it, or does not come back, speaks against a file: what else one of them refuses the other may take.
"""

from __future__ import annotations

from collections.abc import Iterable

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.targets.beam.asking import system_info
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.errors import Lost, Unanswered
from relup.targets.beam.files import Beam
from relup.targets.beam.requests import sent
from relup.targets.beam.saying import words

PATIENCE = 10.0
"""Seconds that the bridge has to read one module."""


async def vet(bridge: Bridge, beams: Iterable[Beam]) -> None:
    """Let the bridge read this code. Raises `InvalidInput` with what cannot be loaded, `Lost` without the node."""
    same = await system_info(bridge, "otp_release") == bridge.otp_release
    found = list[Diagnostic]()
    for beam in beams:
        try:
            answer = await bridge.read_code(sent(beam), timeout=PATIENCE)
        except Lost as lost:
            if lost.diagnostic.code != "bridge_ended":
                raise
            raise InvalidInput([*found, _damaged(beam, "it ends the Erlang that loads it")]) from lost
        except Unanswered as late:
            message = f"an Erlang that loads it does not come back within {PATIENCE:g} s"
            raise InvalidInput([*found, _damaged(beam, message)]) from late
        if same and answer not in ("ok", "on_load_not_allowed"):
            found.append(_damaged(beam, f"Erlang does not load it: {words(answer)}"))
    if found:
        raise InvalidInput(found)


def _damaged(beam: Beam, why: str) -> Diagnostic:
    message = f"the code of {beam.module!r} is damaged: {why}"
    return Diagnostic("bad_code", message, Location(str(beam.path), 1, 1), hint="build the release again")
