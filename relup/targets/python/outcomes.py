"""An outcome as plain data, for the wire, for `--json` and for the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from relup.document.route import route_to_data
from relup.executor import Outcome, WindowReport
from relup.executor.rehearsal import Failure, ModuleRehearsal, Rehearsal, Sample
from relup.model.route import Route
from relup.targets.history import reasons
from relup.targets.python.wire import diagnostic_from_data, diagnostic_to_data
from relup.targets.records import Installed


def outcome_to_data(outcome: Outcome) -> dict[str, Any]:
    """Return *outcome* as plain data; `exit_code` is what the command line ends with."""
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "base": outcome.base,
        "goal": outcome.goal,
        "windows": [asdict(w) for w in outcome.windows],
        "diagnostics": [diagnostic_to_data(d) for d in outcome.diagnostics],
        "rehearsals": [rehearsal_to_data(r) for r in outcome.rehearsals],
    }


def history_entry(route: Route, outcome: Outcome, owner: str, release: Installed) -> dict[str, Any]:
    """Return what a history keeps of an upgrade: who did it, what came of it, and which *release* runs now."""
    return {
        "what": "upgrade" if route.direction == "up" else "downgrade",
        "who": owner,
        **release.entry(),
        "plan": plan_digest(route),
        "from": route.base.vsn,
        "via": [hop.goal.vsn for hop in route.hops[:-1]],
        "to": route.goal.vsn,
        "outcome": outcome.status,
        "windows_ms": [round(w.milliseconds, 3) for w in outcome.windows],
        "processes": sum(w.processes for w in outcome.windows),
        "because": reasons(outcome.diagnostics) if outcome.status != "done" else [],
    }


def plan_digest(route: Route) -> str:
    """Return what tells a plan from every other one."""
    plan = json.dumps(route_to_data(route), sort_keys=True, default=str).encode()
    return sha256(plan).hexdigest()[:16]


def outcome_from_data(data: dict[str, Any]) -> Outcome:
    """Return the outcome that `outcome_to_data` made."""
    return Outcome(
        data["status"],
        data["base"],
        data["goal"],
        tuple(
            WindowReport(w["milliseconds"], w["processes"], tuple(w["modules"]), w["going_back"])
            for w in data["windows"]
        ),
        tuple(diagnostic_from_data(d) for d in data["diagnostics"]),
        tuple(rehearsal_from_data(r) for r in data["rehearsals"]),
    )


def rehearsal_to_data(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return a rehearsal as plain data."""
    failures = [{"diagnostic": diagnostic_to_data(f.diagnostic), "traceback": f.traceback} for f in rehearsal.failures]
    notes = [diagnostic_to_data(d) for d in rehearsal.notes]
    return {**asdict(rehearsal), "failures": failures, "notes": notes}


def rehearsal_from_data(data: dict[str, Any]) -> Rehearsal:
    """Return the rehearsal that `rehearsal_to_data` made."""
    failures = (Failure(diagnostic_from_data(f["diagnostic"]), f["traceback"]) for f in data["failures"])
    return Rehearsal(
        data["verdict"],
        data["stall"],
        data["milliseconds"],
        data["window"],
        tuple(module_from_data(m) for m in data["modules"]),
        tuple(failures),
        tuple(diagnostic_from_data(d) for d in data["notes"]),
    )


def module_from_data(data: Mapping[str, Any]) -> ModuleRehearsal:
    """Return what a rehearsal found of one module."""
    samples = tuple(Sample(**{**s, "lines": tuple(s["lines"])}) for s in data["samples"])
    return ModuleRehearsal(**{**data, "types": tuple(data["types"]), "samples": samples})
