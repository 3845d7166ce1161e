"""What the peer of a rehearsal says, as the values of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from signal import SIGKILL, Signals

from relup.diagnostics import Diagnostic
from relup.executor.rehearsal import Failure, ModuleRehearsal, Sample, Way
from relup.model.shortened import shortened
from relup.targets.beam.peer import BROKEN, PeerLost
from relup.targets.beam.saying import misunderstood, raised, words
from relup.targets.beam.terms import Term

_WHY = {
    "busy": ("busy_not_rehearsed", "they were busy just then"),
    "large": ("large_not_rehearsed", "they have more than can be copied while everybody goes on"),
    "mute": ("unknown_not_rehearsed", "they do not tell their states"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of the states of one module, as the peer says it."""

    tried: int
    failed: int
    unlike: Sequence[Term]
    nanoseconds: int
    longest: int
    slowest: Term
    size: int
    types: Sequence[Term]
    samples: Sequence[Term]
    failures: Sequence[Term]
    held: Sequence[Term]

    @classmethod
    def read(cls, answer: Term) -> Changed:
        """Return what an answer says."""
        match answer:
            case ("changed", *fields) if len(fields) == len(cls.__slots__):
                return cls(*fields)
            case other:
                raise misunderstood(other)

    def notes(self, module: str, every: int) -> Iterator[Diagnostic]:
        """Yield what is to be said though it went well; *every* process of the module counts, whether it was read."""
        if self.held:
            places = [f"{words(what)} at {words(where)} in {words(label)}" for label, what, where in self.held]
            message = f"states of {module} hold what is of no use outside of the node: {shortened(places)}"
            yield Diagnostic("held_by_node", message, severity="note")
        if self.unlike:
            names = shortened([*map(words, self.unlike)])
            message = f"not rehearsed, for it is not known what changes the states of such processes: {names}"
            yield Diagnostic("unknown_not_rehearsed", message, severity="note")
        if self.tried < every:
            message = f"{self.tried} of {every} processes of {module} were rehearsed"
            yield Diagnostic("part_rehearsed", message, severity="note")


def unread(left: Mapping[Term, Term]) -> Iterator[Diagnostic]:
    """Yield whose states were not read, and why."""
    for why, (code, reason) in _WHY.items():
        count, labels = left[why]
        if count:
            more = f", and {count - len(labels)} more" if count > len(labels) else ""
            yield Diagnostic(
                code, f"not rehearsed, for {reason}: {shortened([*map(words, labels)])}{more}", severity="note"
            )


def module_found(changed: Changed, module: str, way: Way) -> ModuleRehearsal:
    """Return what became of the states of a module. Nothing on a BEAM changes in place."""
    samples = tuple(
        Sample(words(label), nanoseconds / 1e6, size, tuple(map(words, lines)))
        for label, nanoseconds, size, lines in changed.samples
    )
    return ModuleRehearsal(
        module, way, changed.tried, changed.failed, changed.nanoseconds / 1e6, changed.longest / 1e6,
        words(changed.slowest), False, changed.size, tuple(map(words, changed.types)), samples,
    )  # fmt: skip


def failure(found: Term, at: Diagnostic) -> Failure:
    """Return what failed, or could not be tried, in one process; *at* says what was tried there."""
    label, verdict, reason, why, trace = found
    said = raised(at.message, (None, label, None), reason, at.location)
    match verdict:
        case "absent":
            said = _unfit(said, f"{said.message}; it cannot be rehearsed, for {words(why)}")
        case "hangs":
            said = _unfit(said, said.message)
    return Failure(said, words(trace))


def _unfit(said: Diagnostic, message: str) -> Diagnostic:
    return replace(said, code="not_rehearsable", message=message, severity="warning")


def lost(error: PeerLost, at: Diagnostic | None) -> Failure:
    """Say what a peer that is gone means: *at* is what it was asked last, None when it had not begun."""
    if at is None or error.status == BROKEN:
        message = f"it could not be rehearsed: the Erlang beside the node is gone: {error.last_words}"
    elif error.status is None or error.status == -SIGKILL:
        how = "was killed" if error.status else "does not answer"
        message = f"{at.message}: the Erlang beside the node {how}, so it cannot be rehearsed"
    else:
        ended = f"by {Signals(-error.status).name}" if error.status < 0 else f"with exit code {error.status}"
        return Failure(
            Diagnostic("code_change_failed", f"{at.message} ends the node: {ended}", at.location), error.last_words
        )
    place = at.location if at else None
    return Failure(Diagnostic("not_rehearsable", message, place, "warning"), error.last_words)
