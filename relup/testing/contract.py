"""The contract of targets, to be run by whoever writes one.

`check_target` upgrades a fresh node again and again, each time with a fault at another effect (before it, and after
it), and with the owner lost there; after each it compares what the node is with what it was. It is the same test
for every target, and asserts the promises, not the means.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from time import perf_counter
from typing import Any, Literal, TypeAlias

from relup.diagnostics import Busy, Diagnostic
from relup.executor import UNSAID, EffectFailed, Limits, Options, Outcome, Target, Transaction, install
from relup.model.instructions import Verify
from relup.model.relup import Relup
from relup.testing.failures import how
from relup.testing.misuse import needed

Moment: TypeAlias = Literal["before", "after"]
EFFECTS = ("select", "suspend", "load", "unload", "change_code", "call", "probe", "verify", "commit")
"""What the executor asks of a transaction before anything is resumed, in the protocol's words."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A node fresh from its start, and a plan that can be applied to it."""

    target: Target
    relup: Relup
    view: Callable[[], Awaitable[Any]]
    """Everything that a rollback must restore, as a value: states, versions, names, who is suspended."""

    def __post_init__(self) -> None:
        target = all(callable(getattr(self.target, name, None)) for name in ("hold", "inspect", "ask_again", "begin"))
        needed(target, "target is what an upgrade is applied to, as the `target` of a node", self.target)
        needed(isinstance(self.relup, Relup), "relup is a plan, as relup.planner.plan makes it", self.relup)
        needed(callable(self.view), "view is an async function", self.view)


Fresh: TypeAlias = Callable[[], AbstractAsyncContextManager[Subject]]


class OwnerLost(BaseException):
    """Thrown into an upgrade to end it from outside, as a cancelled task or a dying controller does."""


@asynccontextmanager
async def reusing(fresh: Fresh) -> AsyncIterator[Fresh]:
    """Yield what gives a node from *fresh* again and again, as long as it is as it was; else another one.

    A node that was rolled back is as it was, which is what is checked, so most faults can be tried on the one before.
    """
    async with AsyncExitStack() as stack:
        kept: list[tuple[Subject, Any]] = []

        @asynccontextmanager
        async def again() -> AsyncIterator[Subject]:
            if not kept or await _seen(kept[-1][0]) != kept[-1][1]:
                await stack.aclose()
                subject = await stack.enter_async_context(_fresh(fresh))
                kept.append((subject, await _seen(subject)))
            yield kept[-1][0]

        yield again


async def check_target(fresh: Fresh) -> int:
    """Run the contract on nodes from *fresh*; return how many upgrades were tried. Raises `AssertionError`."""
    effects = await _check_success(fresh)
    await _check_dry_run(fresh)
    await _check_one_at_a_time(fresh)
    faults = [(number, moment) for number, effect in enumerate(effects) for moment in _moments(effect)]
    for number, moment in faults:
        await _check_fault(fresh, number, moment)
        await _check_owner_lost(fresh, number, moment)
    return 3 + 2 * len(faults)


@asynccontextmanager
async def _fresh(fresh: Fresh) -> AsyncIterator[Subject]:
    what = "check_target needs a function that returns an async context manager of a Subject"
    needed(callable(fresh), what, fresh)
    context = fresh()
    needed(isinstance(context, AbstractAsyncContextManager), f"{what} (see contextlib.asynccontextmanager)", context)
    async with context as subject:
        needed(isinstance(subject, Subject), what, subject)
        yield subject


async def _seen(subject: Subject) -> Any:
    seen = subject.view()
    needed(isawaitable(seen), "view is an async function", seen)
    return await seen


def _moments(effect: str) -> tuple[Moment, ...]:
    """Return when a fault at *effect* means something: a call that raised has had no effect, by its own promise."""
    return ("before",) if effect == "call" else ("before", "after")


async def _check_success(fresh: Fresh) -> list[str]:
    """Check that a plan without a fault changes the node; return its effects."""
    async with _fresh(fresh) as subject:
        before = await _seen(subject)
        tally = Fault(None, "before")
        outcome = await _install(subject, tally)
        assert outcome.status == "done", f"a plan without a fault ended {how(outcome)}"
        assert await _seen(subject) != before, "the upgrade changed nothing"
        return tally.seen


async def _check_dry_run(fresh: Fresh) -> None:
    async with _fresh(fresh) as subject:
        before = await _seen(subject)
        outcome = await _install(subject, Fault(None, "before"), Options(dry_run=True))
        assert outcome.status == "ready", f"a dry run ended {how(outcome)}"
        assert await _seen(subject) == before, "a dry run touched the node"


async def _check_one_at_a_time(fresh: Fresh) -> None:
    async with _fresh(fresh) as subject, subject.target.hold("the first"):
        refusal = ""
        try:
            async with subject.target.hold("the second"):
                pass
        except Busy as error:
            refusal = str(error)
        assert "the first" in refusal, f"a second upgrade at once must be refused, naming the first: {refusal!r}"


async def _check_fault(fresh: Fresh, number: int, moment: Moment) -> None:
    async with _fresh(fresh) as subject:
        before = await _seen(subject)
        fault = Fault(number, moment)
        outcome = await _install(subject, fault)
        place = f"a fault {moment} effect {number} ({fault.seen[-1]})"
        assert outcome.status == "rolled_back", f"{place} ended {how(outcome)}"
        assert await _seen(subject) == before, f"{place} left something behind"


async def _check_owner_lost(fresh: Fresh, number: int, moment: Moment) -> None:
    async with _fresh(fresh) as subject:
        before = await _seen(subject)
        fault = Fault(number, moment, OwnerLost)
        try:
            await _install(subject, fault)
        except OwnerLost:
            assert await _seen(subject) == before, f"the owner lost {moment} effect {number} ({fault.seen[-1]})"
        else:
            raise AssertionError("the owner's loss was swallowed")


@dataclass(slots=True)
class Fault:
    """What goes wrong: at effect *number* (None: nothing), before it or after it."""

    number: int | None
    moment: Moment
    error: type[BaseException] | None = None
    seen: list[str] = field(default_factory=list)

    def strike(self) -> None:
        """Raise."""
        if self.error:
            raise self.error
        raise EffectFailed(Diagnostic("injected", f"a fault {self.moment} {self.seen[-1]}"))


class _Faulty:
    """A transaction that passes everything on, and fails where its fault says."""

    def __init__(self, transaction: Transaction, fault: Fault) -> None:
        self._transaction = transaction
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._transaction, name)
        if name not in EFFECTS:
            return effect

        async def struck(*arguments: Any, **named: Any) -> Any:
            fault = self._fault
            here = len(fault.seen) == fault.number
            fault.seen.append(name)
            if here and fault.moment == "before":
                fault.strike()
            result = await effect(*arguments, **named)
            if here:
                fault.strike()
            return result

        return struck


@dataclass(frozen=True, slots=True)
class _FaultyTarget:
    target: Target
    fault: Fault

    def hold(self, owner: str) -> AbstractAsyncContextManager[None]:
        return self.target.hold(owner)

    async def inspect(self, relup: Relup) -> Sequence[Diagnostic]:
        return await self.target.inspect(relup)

    async def ask_again(self, probes: Sequence[Verify]) -> None:
        await self.target.ask_again(probes)

    @asynccontextmanager
    async def begin(self, relup: Relup, limits: Limits = UNSAID) -> AsyncIterator[Any]:
        async with self.target.begin(relup, limits) as transaction:
            yield _Faulty(transaction, self.fault)


async def _install(subject: Subject, fault: Fault, options: Options | None = None) -> Outcome:
    target = _FaultyTarget(subject.target, fault)
    options = options or Options()
    return await install(
        subject.relup, target, owner="the contract test", emit=lambda event: None, clock=perf_counter, options=options
    )
