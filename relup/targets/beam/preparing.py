"""What a node is asked before a window is opened: is it the plan's base, does it take the code, whom does it concern.

Nothing is changed by it. What speaks against an upgrade is yielded among what is to be said of it, so that all of it is
told at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.model.instructions import Load
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Window
from relup.targets.beam.agent import Agent
from relup.targets.beam.asking import applications, booted
from relup.targets.beam.configuration import Change
from relup.targets.beam.files import Beam, read_beams
from relup.targets.beam.looking import other_code
from relup.targets.beam.requests import sent
from relup.targets.beam.saying import (
    holders,
    misunderstood,
    nobody,
    outside,
    process,
    silent_ones,
    unfit,
    unreachable,
    unseen,
    words,
)
from relup.targets.beam.terms import Atom, Term

_FROM_WHAT_RUNS = "plan from the release that runs; --base DIR says where it is when another one is taken for it"


def check_running(running: Release, base: Release) -> None:
    """Compare the release that is known to run with the one that a plan begins with.

    Raises `Refused`. Their versions say it where their applications are the same.
    """
    if (running.name, running.vsn) != (base.name, base.vsn):
        message = f"the node runs {running} ({running.root}), and the plan begins with {base}"
        raise Refused([Diagnostic("stale_base", message, hint=_FROM_WHAT_RUNS)])


async def check_base(agent: Agent, relup: Relup) -> None:
    """Compare the versions that run, and the code of the applications that change; the others may have been patched.

    Raises `Refused` naming what differs.
    """
    base, goal = relup.base, relup.goal
    versions = await applications(agent.bridge)
    if wrong := [
        f"{a.name} {v} (not {a.vsn})" for a in base.applications if (v := versions.get(a.name, a.vsn)) != a.vsn
    ]:
        raise await _stale(agent, base, "other versions", wrong)
    changing = [*base.not_in(goal)]
    planned = {m: digest for a in changing for m, digest in a.fingerprints.items()}
    running = dict(await agent.ask(Atom("digests"), [Atom(m) for m in planned]))
    loaded = {m: digest.hex() for m, digest in running.items() if isinstance(digest, bytes)}
    other = [*other_code(base, planned, loaded)]
    if other:
        runs = [f"{a.name} {versions[a.name]}" for a in changing if a.name in versions]
        raise await _stale(agent, base, f"other code of {shortened(other)}", runs)


async def _stale(agent: Agent, base: Release, what: str, running: Sequence[str]) -> Refused:
    release = " ".join(await booted(agent.bridge))
    message = f"the node runs {what} than the plan's base {base}: it booted {release}, and runs {shortened(running)}"
    return Refused([Diagnostic("stale_base", message, hint=_FROM_WHAT_RUNS)])


async def ready(
    agent: Agent, number: int, window: Window, beams: Sequence[Beam], base: Release
) -> AsyncIterator[Diagnostic]:
    """Ready the code of a window in both directions, and yield why it could not be loaded.

    *base* has the code that the node's own files may not have any more.
    """
    gone = [Atom(c.module) for c in window.code if not isinstance(c, Load)]
    request = Atom("prepare"), number, [*map(sent, beams)], gone
    answer = await agent.ask(*request, [])
    match answer:
        case ("error", list(problems)) if lost := [str(m) for why, m, _ in problems if why == "no_old_code"]:
            answer = await agent.ask(*request, _known(base, lost))
    match answer:
        case "ok":
            pass
        case ("error", list(problems)):
            places = {c.module: c.location for c in window.code}
            for why, module, who in problems:
                yield unfit(why, module, who, places.get(str(module)))
        case other:
            raise misunderstood(other)


def _known(base: Release, modules: Sequence[str]) -> list[Term]:
    """Return the code of modules whose files the node does not have, as when they were loaded from here."""
    try:
        return [sent(beam) for beam in read_beams(base, modules).values()]
    except RelupError:
        return []


async def concerned(agent: Agent, window: Window, beside: Sequence[Beam]) -> tuple[int, list[Diagnostic]]:
    """Return how many processes a window suspends, and what is to be said of them; *beside* it loads as well."""
    modules = [Atom(s.module) for s in window.suspensions]
    code = [Atom(c.module) for c in (*window.code, *beside)]
    match await agent.ask(Atom("concerned"), modules, code):
        case ("ok", int(count), list(beyond), list(mute), list(silent), list(lingering), list(holding), list(serving)):
            place = window.suspensions[0].location if window.suspensions else None
            stand = {entry[0] for entry in lingering}
            said = [silent_ones(silent)] if silent else []
            said += [_lingers(window, lingering)] if lingering else []
            said += [unreachable(who, place) for who in mute if who[0] not in stand]
            said += [outside(beyond, place)] if beyond else []
            said += [holders(holding, window.code[0].location)] if holding and window.code else []
            said += [unseen(serving, place)] if serving else []
            return count, said
        case other:
            raise misunderstood(other)


async def unfound(agent: Agent, window: Window) -> AsyncIterator[Diagnostic]:
    """Yield which functions of somebody else would find no state: a module may not be what child specs name."""
    migrated = {c.module for c in window.changes() if c.migrate}
    for suspension in window.suspensions:
        if suspension.module in migrated:
            match await agent.ask(Atom("concerned"), [Atom(suspension.module)], []):
                case ("ok", 0, [], [], *_):
                    yield nobody(suspension)
                case _:
                    pass


async def set_otherwise(agent: Agent, changes: Sequence[Change]) -> AsyncIterator[Diagnostic]:
    """Say which values of applications the release changes and the node keeps."""
    if changes:
        match await agent.ask(Atom("set_otherwise"), [*changes]):
            case ("ok", list(kept)):
                for application, key in kept:
                    message = (
                        f"{application}: {key} is not what the release that runs says: somebody set it, and it stays"
                    )
                    yield Diagnostic("set_otherwise", message, severity="note")
            case ("failed", why):
                yield Diagnostic("no_answer", words(why))
            case other:
                raise misunderstood(other)


def _lingers(window: Window, who: Iterable[Term]) -> Diagnostic:
    names = shortened([process(w) for w in who])
    message = f"{names}: their stacks stand in code that is replaced, and a way back would have to kill them"
    return Diagnostic("lingering", message, next((c.location for c in window.code), None))
