"""What a BEAM module is: by the behaviours that it says it has, else by what it exports.

Releases are often stripped of attributes (`beam_lib:strip_release/1` does it, and rebar3 and relx when they are asked
to), modules may have the callbacks of a behaviour and say nothing of it, and libraries have behaviours of their own
that end in a gen_server. Callbacks have to be exported, and their names and arities are OTP's, so these tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from relup.model.code import BeamModule

Behaviour: TypeAlias = Literal["server", "supervisor", "application"]

SAID: Mapping[str, Behaviour] = {
    **dict.fromkeys(
        ("gen_server", "gen_statem", "gen_event", "gen_fsm", "Elixir.GenServer", "Elixir.GenStage"), "server"
    ),
    **dict.fromkeys(("supervisor", "Elixir.Supervisor", "Elixir.DynamicSupervisor"), "supervisor"),
    **dict.fromkeys(("application", "Elixir.Application"), "application"),
}
_SUPERVISORS = ("Elixir.DynamicSupervisor", "Elixir.Supervisor", "supervisor")
_OWN_LOOP = ("system_continue", 3), ("system_code_change", 4)
SYS = "special process"
"""A process with a loop of its own that takes part in upgrades through `sys`."""


def behaviours(module: BeamModule) -> Iterator[tuple[Behaviour, str, bool]]:
    """Yield what a module is, under which name, and whether it says so itself."""
    said = [(SAID[b], b, True) for b in module.behaviours if b in SAID]
    yield from said
    if not any(kind in ("server", "supervisor") for kind, _, _ in said):
        yield from _processes(module)
    if not any(kind == "application" for kind, _, _ in said) and _is_application(module):
        yield "application", "application", False


def _processes(module: BeamModule) -> Iterator[tuple[Behaviour, str, bool]]:
    """Yield the one kind of process that the exported callbacks are those of."""
    exports, called = module.exports, {(m, f) for m, f, _ in module.imports}
    elixir = ("__info__", 1) in exports
    if exports >= set(_OWN_LOOP):
        yield "server", SYS, False
    elif ("init", 1) not in exports:
        return
    elif ("callback_mode", 0) in exports:
        yield "server", "gen_statem", False
    elif ("handle_call", 3) in exports or ("handle_cast", 2) in exports:
        yield "server", "Elixir.GenServer" if elixir else "gen_server", False
    elif exports >= {("handle_event", 2), ("handle_call", 2)}:
        yield "server", "gen_event", False
    elif exports >= {("handle_event", 3), ("handle_sync_event", 4)}:
        yield "server", "gen_fsm", False
    else:
        starting = [s for s in _SUPERVISORS if {(s, "init"), (s, "start_link")} & called]
        yield from (("supervisor", s, False) for s in starting[:1])


def _is_application(module: BeamModule) -> bool:
    """Say whether a module that was stripped has the callbacks of an application, and starts a supervisor."""
    if module.attributes or not module.exports >= {("start", 2), ("stop", 1)}:
        return False
    return any(function == "start_link" for _, function, _ in module.imports)
