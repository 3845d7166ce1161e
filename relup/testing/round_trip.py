"""Drawn states through the `code_change` of a server, up and down again.

A rehearsal tries the states that there are; this tries those that might be. Validity of a migration cannot be decided;
what can be is whether the older release gets back what it gave, and hypothesis finds the smallest state for which it
does not.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis.strategies import SearchStrategy

from relup.diagnostics import Diagnostic, InvalidInput, in_words
from relup.targets.python.blame import place_of
from relup.targets.python.bounded import Overdue
from relup.targets.python.differing import Then, differences
from relup.targets.python.failing import overdue
from relup.targets.python.snapshot import Memory, Snapshot, holds
from relup.targets.python.trial import NO_STATES
from relup.targets.python.watchdog import Overrun, Watchdog
from relup.testing.changing import Changing, Step, Way, changing, watching
from relup.testing.copying import copied
from relup.testing.misuse import function_needed, needed
from relup.testing.nodes import told
from relup.testing.threads import InThread, Unended
from relup.testing.ways import locate

LONGEST = 2_000
"""Characters of a state that are shown."""


class RoundTripFailed(AssertionError):
    """A state does not survive the way up and down again."""


class _Unreturned(BaseException):
    """A `code_change` did not come back. No `Exception`: hypothesis would try it again, for as long each time."""


def assert_round_trip(
    strategy: SearchStrategy[Any] | Callable[[], SearchStrategy[Any]],
    old: str | Path,
    new: str | Path,
    server: str,
    *,
    lossy: Callable[[Any], Any] | None = None,
    same: Callable[[Any, Any], bool] | None = None,
    may_mutate: bool = False,
    settings: hypothesis.settings | None = None,
) -> None:
    """Check that states of *server* come back from release *new* as they went there from *old*.

    *strategy* draws states of the older release, or is a function that returns such a strategy: it is called once that
    release's code is loaded, and may import its classes. *server* is `module:Class`, a module with one server, or a
    registered name that a child spec of the release gives.
    States are compared after *lossy*, where something may get lost: it returns what has to stay. *same* compares a
    state with what came back in its own way instead. A `code_change` that changes in place what it is given fails too,
    unless it *may_mutate*: an upgrade has to be able to undo it. So does one that leaves objects of replaced code as
    they are: the server would go on with the old code. *settings* are hypothesis' (default: those in force).

    Raises `RoundTripFailed` with the smallest state found, and the first difference or the direction that raised;
    `InvalidInput` and `Refused` with everything that is wrong with the releases. OTP has no counterpart.
    """
    __tracebackhide__ = True
    places = (Path.cwd(), Path(sys._getframe(1).f_code.co_filename).parent)

    needed(isinstance(server, str), "a server is module:Class, a module or a registered name", server)
    needed(isinstance(settings, hypothesis.settings | None), "settings are hypothesis.settings(…)", settings)
    function_needed("lossy", lossy)
    function_needed("same", same)
    if not (isinstance(strategy, SearchStrategy) or callable(strategy)):
        raise _no_strategy(f"a strategy of hypothesis, or a function that returns one, is needed, not {strategy!r}")
    context = changing(told(locate, old, places), told(locate, new, places), server, partial(_states, strategy))
    thread = told(InThread[Changing], context, "relup round trip")
    try:
        with watching(thread.value.node.loop) as watchdog:
            _check(_Trip(thread, watchdog, lossy, same, may_mutate), settings or hypothesis.settings())
    except _Unreturned as error:
        raise RoundTripFailed(*error.args) from None
    finally:
        thread.close()


def _states(strategy: SearchStrategy[Any] | Callable[[], SearchStrategy[Any]]) -> SearchStrategy[Any]:
    made = strategy if isinstance(strategy, SearchStrategy) else strategy()
    if not isinstance(made, SearchStrategy):
        raise _no_strategy(f"{_called(strategy)} returns {made!r}, which is no strategy of hypothesis")
    return made


def _no_strategy(message: str) -> InvalidInput:
    hint = "for example hypothesis.strategies.builds(State), or lambda: builds(State) when State is the release's own"
    return InvalidInput([Diagnostic("no_strategy", message, hint=hint)])


def _check(trip: _Trip, settings: hypothesis.settings) -> None:
    __tracebackhide__ = True
    # to explain a failure hypothesis traces every line that is run, and the lines are relup's
    phases = [phase for phase in settings.phases if phase is not hypothesis.Phase.explain]

    @hypothesis.settings(settings, report_multiple_bugs=False, phases=phases)
    @hypothesis.given(trip.thread.value.prepared)
    def check(state: Any) -> None:
        __tracebackhide__ = True
        trip.check(state)

    check()


@dataclass(frozen=True, slots=True)
class _Trip:
    """The way there and back, and what of it has to be the same."""

    thread: InThread[Changing]
    watchdog: Watchdog
    lossy: Callable[[Any], Any] | None
    same: Callable[[Any, Any], bool] | None
    may_mutate: bool

    def check(self, state: Any) -> None:
        """Raise `RoundTripFailed` unless *state* comes back."""
        __tracebackhide__ = True
        drawn = copied(state, self.thread.value.owned)
        there = self._change(drawn, state, "up")
        back = self._change(drawn, there, "down")
        if self.same is not None:
            found = "" if self.same(drawn, back) else f"it is not the same, says {_called(self.same)}"
        else:
            found = self._difference(drawn, back)
        if found:
            more = f"\nin the newer release it was: {_shown(there)}"
            raise self._failed("what comes back is another state than what went there", drawn, f"  {found}{more}")

    def _change(self, drawn: Any, state: Any, way: Way) -> Any:
        """Return the state on the other side; raise where `code_change` does, or changes what it was given."""
        __tracebackhide__ = True
        before = self._written_down(state)
        try:
            made = self._made(state, way)
        except (Overrun, Overdue, Unended) as error:
            what = f"code_change does not come back on the way {way}"
            more = f"  {overdue(error)}\nthe state: {_shown(drawn)}"
            raise _Unreturned(f"{self.thread.value.server}: {what}\n{more}") from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            more = f"  {in_words(error)}{place_of(error)}"
            raise self._failed(f"code_change raises on the way {way}", drawn, more) from error
        if not (self.may_mutate or holds(before)):
            first = next(differences(state, Then(before), state, Then(self._written_down(state))), "state: changed")
            what = f"code_change changes in place what it is given, on the way {way}"
            raise self._failed(what, drawn, f"  {first}\nmake a new state, or say may_mutate=True")
        if type(made) in NO_STATES and (made is not None or state is not None):
            raise self._failed(f"code_change returns no state on the way {way}", drawn, f"  it returns {_shown(made)}")
        if way == "up" and (held := self.thread.run(self.thread.value.old_held(made))):
            raise self._failed("code_change leaves objects of replaced code on the way up", drawn, held)
        return made

    def _made(self, state: Any, way: Way) -> Any:
        changing = self.thread.value
        for step in changing.steps[way]:
            state = changing.change(state, step, self.watchdog)
            if isawaitable(state):
                state = self._awaited(state, step)
        return state

    def _awaited(self, state: Awaitable[Any], step: Step) -> Any:
        error, made = self.thread.run(self.thread.value.awaited(state, step), step.limit)
        if error is not None:
            raise error
        return made

    def _difference(self, drawn: Any, back: Any) -> str:
        lossy = self.lossy or (lambda state: state)
        before, after = lossy(drawn), lossy(back)
        was, now = Then(self._written_down(before)), Then(self._written_down(after))
        return next(differences(before, was, after, now, exact=True), "")

    def _written_down(self, state: Any) -> Snapshot:
        return Memory(self.thread.value.owned).remember(state)

    def _failed(self, what: str, drawn: Any, more: str) -> RoundTripFailed:
        return RoundTripFailed(f"{self.thread.value.server}: {what}\n{more}\nthe smallest state found: {_shown(drawn)}")


def _called(function: Any) -> str:
    return getattr(function, "__name__", repr(function))


def _shown(state: Any) -> str:
    text = repr(state)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
