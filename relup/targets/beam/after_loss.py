"""What became of an upgrade whose connection was lost: the node knows, and is asked again."""

from __future__ import annotations

from dataclasses import replace

from relup.diagnostics import Diagnostic, RelupError
from relup.executor import Outcome
from relup.model.release import Release
from relup.model.route import Route
from relup.targets.beam.agent import LEASE
from relup.targets.beam.asking import applications, evaluate
from relup.targets.beam.connect import connect
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.looking import other_code
from relup.targets.beam.terms import Atom
from relup.targets.beam.where import Where

_CONNECTING = 10.0
_TAKING_BACK = 60.0
"""Seconds for the node to take back what it can; calls have time limits of their own."""
_LOADED = "[{M, M:module_info(md5)} || M <- Modules, erlang:module_loaded(M)]."
_ENDED = """
    Ended = fun() -> case whereis(relup_agent) of
        undefined -> true;
        Agent -> case process_info(Agent, dictionary) of {_, D} -> lists:keymember(deadline, 1, D); _ -> true end
    end end,
    Wait = fun(W) -> case Ended() of true -> ok; false -> receive after 20 -> W(W) end end end,
    Wait(Wait).
"""


async def found_after_loss(where: Where, route: Route, outcome: Outcome) -> Outcome:
    """Return *outcome* as it is by what runs: an agent that is lost takes back what is not done, and ends."""
    try:
        async with connect(where, timeout=_CONNECTING) as bridge:
            await evaluate(bridge, _ENDED, within=_TAKING_BACK)
            running = await applications(bridge)
            modules = [Atom(m) for m in _differing(route.base, route.goal)]
            found = await evaluate(bridge, _LOADED, {"Modules": modules})
    except (RelupError, BridgeError) as error:
        why = error.diagnostics if isinstance(error, RelupError) else (error.diagnostic,)
        said = dict.fromkeys((*outcome.diagnostics, *why, _UNKNOWN))
        return replace(outcome, status="operator_needed", diagnostics=tuple(said))
    loaded = {str(module): md5.hex() for module, md5 in found}
    is_base, is_goal = (
        _is(release, other, running) and _has_code(release, loaded)
        for release, other in ((route.base, route.goal), (route.goal, route.base))
    )
    if is_goal and not is_base:
        return replace(outcome, status="done", diagnostics=(_note(f"the node runs {route.goal} all the same"),))
    # what runs was only supposed before the node was looked at
    lost = dict.fromkeys(d for d in outcome.diagnostics if d.code != "not_taken_back")
    if is_base and not is_goal:
        taken_back = _note(f"the node went back to {route.base} by itself; what it could not take back is in its log")
        return replace(outcome, status="rolled_back", diagnostics=(*lost, taken_back))
    message = f"the node does not run {route.base} alone, nor {route.goal}: what it could not take back is in its log"
    return replace(outcome, status="operator_needed", diagnostics=(*lost, Diagnostic("not_taken_back", message)))


def _is(release: Release, other: Release, running: dict[str, str]) -> bool:
    """Whether a release runs and the other does not, by the versions of the applications in which they differ."""
    theirs = {a.name: a.vsn for a in other.applications}
    differing = {a.name: a.vsn for a in release.applications if theirs.get(a.name, a.vsn) != a.vsn}
    return all(running.get(name) == vsn for name, vsn in differing.items())


def _differing(base: Release, goal: Release) -> list[str]:
    """Return the modules whose code differs between two releases."""
    before, after = base.fingerprints(), goal.fingerprints()
    return sorted(m for m in {*before, *after} if before.get(m) != after.get(m))


def _has_code(release: Release, loaded: dict[str, str]) -> bool:
    """Whether what is loaded of the modules that differ is the release's; what is not loaded is nobody's."""
    known = release.fingerprints()
    return all(m in known for m in loaded) and not [*other_code(release, known, loaded)]


def _note(message: str) -> Diagnostic:
    return Diagnostic("connection_lost", f"the connection was lost, and {message}", severity="note")


_UNKNOWN = Diagnostic(
    "outcome_unknown",
    f"unless all was done, a node that goes on takes everything back by itself within {LEASE / 1000:g} s; "
    "one that ended boots its permanent release",
    hint="`relup status NODE` says which release runs",
)
