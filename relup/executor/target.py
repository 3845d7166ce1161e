"""What a target promises the executor.

A target is transactional, like a database. `hold` takes the node's lock, `begin` opens the transaction of one
hop; it keeps the journal beside the effects, so that it can undo them by itself when its owner is lost. The
executor only says what is to be done next, and whether the window is committed or rolled back: a target knows
no policy.

Effects take batches (all modules, all their processes), because a round per process is what makes windows
long. An effect that fails raises `EffectFailed` and may leave its batch half done: `rollback` undoes that too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from relup.diagnostics import Diagnostic
from relup.executor.limits import Limits
from relup.executor.rehearsal import Rehearsal
from relup.model.instructions import CodeChange, Suspension, Verify
from relup.model.inverses import inverse_of
from relup.model.naming import describe
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window

Side: TypeAlias = Literal["goal", "base"]
"""Where an effect leads: to the goal of the plan, or back to its base."""

_PASSING = frozenset({"suspend_timeout", "supervisor_silent"})


class EffectFailed(Exception):
    """An effect did not come about; `diagnostics` say why, at the place of the instruction."""

    lost = False
    """Whether nobody can be asked any more, so that what becomes of the target is up to it."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics = diagnostics
        super().__init__("; ".join(map(str, diagnostics)))

    @property
    def may_pass(self) -> bool:
        """Whether it is only that somebody was busy: a little later the same effect may come about."""
        return bool(self.diagnostics) and all(d.code in _PASSING for d in self.diagnostics)


class TargetLost(EffectFailed):
    """An effect did not come about, or nobody knows whether it did, for the target is out of reach."""

    lost = True


def taking_back(cut: Cut) -> Cut:
    """Return the instruction that takes *cut* back. Raises `EffectFailed` when nothing is known to."""
    back = inverse_of(cut)
    if back is None:
        message = f"{describe(cut)} was carried out and is not undone: nothing is known that takes it back"
        raise EffectFailed(Diagnostic("irreversible", message, cut.location))
    return back


@dataclass(frozen=True, slots=True)
class Preparation:
    """What `prepare` found: the processes each window concerns, and what people should know beforehand."""

    processes: tuple[int, ...]
    """How many processes each segment suspends; 0 for one that is no window."""
    notes: tuple[Diagnostic, ...] = ()
    forecast: tuple[Diagnostic, ...] = ()
    """What the upgrade would do if it were carried out now: for a dry run."""


class Transaction(Protocol):
    """One upgrade in progress on a node, from `begin` to the end of its context."""

    async def prepare(self, segments: Sequence[Segment]) -> Preparation:
        """Check the base and the files, read and run the new code off to the side; nothing becomes visible.

        Raises `Refused` with everything that speaks against the upgrade.
        """

    async def rehearse(self, segments: Sequence[Segment]) -> Rehearsal | None:
        """Run the script, and its inverse, on a copy of the states; None where that is not done.

        What it finds decides of whom `remember` keeps what they hold.
        """

    async def remember(self) -> None:
        """Take the undo information that can be taken while everybody goes on."""

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Take the census: find every process that uses these modules, and let no other be born from here on."""

    async def suspend(self) -> int:
        """Suspend the selected processes, callers before callees; return how many stand still."""

    async def load(self, window: Window) -> None:
        """Make the new code of the window's modules current, all at once."""

    async def unload(self, window: Window) -> None:
        """Make the code current again that `load` of this window replaced."""

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Let the suspended processes change their states, remembering the old ones."""

    async def call(self, cut: Cut, towards: Side) -> None:
        """Carry out an instruction that needs running processes, or take it back."""

    async def probe(self, probe: Verify) -> None:
        """Ask what the appup says is to be asked, in the open window. Raises `EffectFailed` with what it said."""

    async def verify(self) -> Sequence[Diagnostic]:
        """Check that no process in scope was missed; return what people should know, such as who died."""

    async def commit(self, *, final: bool) -> None:
        """Decide, before anything is resumed; after `final` a restart of the node knows of the upgrade."""

    async def resume(self) -> None:
        """Let the suspended processes go on, and forget the journal of this window."""

    async def rollback(self) -> Sequence[Diagnostic]:
        """Undo the open window from its journal, in reverse, and resume; return what people should know.

        Raises `EffectFailed` with what remains.
        """


class Target(Protocol):
    """A node that can be upgraded."""

    def hold(self, owner: str) -> AbstractAsyncContextManager[None]:
        """Take the node for *owner* until the upgrade is over. Raises `Busy` naming the one who holds it."""

    async def inspect(self, relup: Relup) -> Sequence[Diagnostic]:
        """Find what speaks against a later hop of a route and can be known before the first."""

    async def ask_again(self, probes: Sequence[Verify]) -> None:
        """Ask, once all is done and everybody runs. Raises `EffectFailed` with those that say no."""

    def begin(self, relup: Relup, limits: Limits) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction on the node, which is held; each of its effects keeps to *limits*."""
