"""Apply a planned script to a target: a fold over its windows, with a way back."""

from relup.executor.install import Options, install
from relup.executor.limits import UNSAID, Limits
from relup.executor.outcome import Emit, Event, Outcome, Phase, Status, WindowReport
from relup.executor.target import EffectFailed, Preparation, Side, Target, TargetLost, Transaction, taking_back

__all__ = [
    "UNSAID",
    "EffectFailed",
    "Emit",
    "Event",
    "Limits",
    "Options",
    "Outcome",
    "Phase",
    "Preparation",
    "Side",
    "Status",
    "Target",
    "TargetLost",
    "Transaction",
    "WindowReport",
    "install",
    "taking_back",
]
