"""An outcome as plain data, for the wire and for `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from relup.executor import Outcome, WindowReport
from relup.targets.python.wire import diagnostic_from_data, diagnostic_to_data


def outcome_to_data(outcome: Outcome) -> dict[str, Any]:
    """Return *outcome* as plain data; `exit_code` is what the command line ends with."""
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "base": outcome.base,
        "goal": outcome.goal,
        "windows": [asdict(w) for w in outcome.windows],
        "diagnostics": [diagnostic_to_data(d) for d in outcome.diagnostics],
    }


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
    )
