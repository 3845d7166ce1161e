"""The instructions of an appup (appup(5)) and of a relup (relup(5)), as frozen values.

High-level instructions say what to do with a module or an application; the planner translates them to
low-level ones, which are all that is ever applied. Names, fields and defaults are OTP's. A location is
where the instruction was written: it takes no part in equality, so plans compare by what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from relup.diagnostics import Location

Purge: TypeAlias = Literal["soft_purge", "brutal_purge"]
Direction: TypeAlias = Literal["up", "down"]
ModType: TypeAlias = Literal["static", "dynamic"]
Timeout: TypeAlias = int | Literal["default", "infinity"]
"""How long a process may take to suspend: milliseconds, or `default` (5,000), or `infinity`."""
ApplicationType: TypeAlias = Literal["permanent", "transient", "temporary", "load", "none"]


def _location() -> Any:
    return field(default=None, compare=False, repr=False, kw_only=True)


def _term() -> Any:
    """A field for plain data from a document: it may hold lists and mappings, so it takes no part in the hash."""
    return field(default=None, hash=False)


# ── how an update changes its processes ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Soft:
    """The state needs no change: suspend, load, resume."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """The state changes: `code_change` is called with `extra`."""

    extra: Any = _term()


@dataclass(frozen=True, slots=True)
class SupervisorChange:
    """The module is a supervisor: its child specs are read again (`{update, Mod, supervisor}`)."""


Change: TypeAlias = Soft | Advanced | SupervisorChange


@dataclass(frozen=True, slots=True)
class Migration:
    """A class of a module, and the function that turns its live instances into those of the other version."""

    cls: str
    """Its qualified name in the module: `Cart`, `Cart.Item`."""
    function: str
    """A function of the newer version of the module, or `module:function`."""


@dataclass(frozen=True, slots=True)
class StateFunction:
    """A function that changes states where the module of their processes has no `code_change` for it.

    It is what `code_change/3` would be: called with the vsn (`{down, Vsn}` on the way down), the state and `extra`.
    """

    module: str
    function: str


# ── high level ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Update:
    """Suspend the processes that use a module, load it, let them change their state, resume them."""

    module: str
    change: Change = Soft()
    depends: tuple[str, ...] = ()
    mod_type: ModType = "dynamic"
    timeout: Timeout = "default"
    pre_purge: Purge = "brutal_purge"
    post_purge: Purge = "brutal_purge"
    keep: tuple[str, ...] = ()
    """Names of the module whose values are carried over (relup's own; Python nodes only)."""
    instances: tuple[Migration, ...] = ()
    """Classes of the module whose live instances are migrated (relup's own; Python nodes only)."""
    migrate: StateFunction | None = None
    """What changes the states in place of the module's `code_change` (relup's own; BEAM nodes only).

    It gets the `extra` of `change`. A module whose file is the same in both releases is not loaded anew.
    """
    location: Location | None = _location()

    @property
    def changes_states(self) -> bool:
        """Whether its processes change their states."""
        return self.migrate is not None or not isinstance(self.change, Soft)


@dataclass(frozen=True, slots=True)
class LoadModule:
    """Replace the code of a module that no process keeps state for."""

    module: str
    depends: tuple[str, ...] = ()
    pre_purge: Purge = "brutal_purge"
    post_purge: Purge = "brutal_purge"
    keep: tuple[str, ...] = ()
    """Names of the module whose values are carried over (relup's own; Python nodes only)."""
    instances: tuple[Migration, ...] = ()
    """Classes of the module whose live instances are migrated (relup's own; Python nodes only)."""
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class AddModule:
    """Load a module that the old version does not have."""

    module: str
    depends: tuple[str, ...] = ()
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class DeleteModule:
    """Remove a module that the new version does not have."""

    module: str
    depends: tuple[str, ...] = ()
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class AddApplication:
    """Load an application's modules and start it."""

    application: str
    type: ApplicationType = "permanent"
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class RemoveApplication:
    """Stop an application and remove its modules."""

    application: str
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class RestartApplication:
    """Stop an application, load its new modules, and start it: its state is lost."""

    application: str
    location: Location | None = _location()


# ── low level ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LoadObjectCode:
    """Read the new code of modules, so that nothing after this can fail for want of a file."""

    application: str
    vsn: str
    modules: tuple[str, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class PointOfNoReturn:
    """What comes before may fail without any effect. (In relup there is a return: OTP restarts the node.)"""

    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Load:
    """Make the new code of a module current."""

    module: str
    pre_purge: Purge = "brutal_purge"
    post_purge: Purge = "brutal_purge"
    keep: tuple[str, ...] = ()
    """Names of the module whose values are carried over (relup's own; Python nodes only)."""
    instances: tuple[Migration, ...] = ()
    """Classes of the module whose live instances are migrated (relup's own; Python nodes only)."""
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Remove:
    """Make the current code of a module old."""

    module: str
    pre_purge: Purge = "brutal_purge"
    post_purge: Purge = "brutal_purge"
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class PurgeModules:
    """Drop the old code of modules (OTP's `purge`)."""

    modules: tuple[str, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Suspension:
    """The processes of one module, and how long each may take to suspend."""

    module: str
    timeout: Timeout = "default"
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Suspend:
    """Suspend the processes that use these modules."""

    modules: tuple[Suspension, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Resume:
    """Resume the processes that were suspended for these modules."""

    modules: tuple[str, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class ModuleChange:
    """One module's part of a `code_change`: what its processes are told beside the version."""

    module: str
    extra: Any = _term()
    migrate: StateFunction | None = None
    """What changes the states in place of the module's `code_change` (relup's own; BEAM nodes only)."""
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class CodeChange:
    """Let the suspended processes of these modules change their states."""

    mode: Direction
    changes: tuple[ModuleChange, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the processes that use these modules, through their supervisors."""

    modules: tuple[str, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Start:
    """Start the processes again that a `stop` of these modules ended."""

    modules: tuple[str, ...]
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments (OTP's `{M, F, A}`)."""

    module: str
    function: str
    args: tuple[Any, ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class SyncNodes:
    """Wait until the named nodes, or those that a call names, have come as far."""

    id: Any = _term()
    nodes: tuple[str, ...] | Call = ()
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Apply:
    """Call a function in the node.

    `undo` (relup's own) is called to take it back. Called with processes running, it cuts the window;
    `window="inside"` (relup's own) says that it needs none of them.
    """

    call: Call
    undo: Call | None = None
    window: Literal["cuts", "inside"] = "cuts"
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the new code whether all is well, before anybody goes on and again after that (relup's own).

    The function says no by raising, or by returning false (on a BEAM node also `error` and `{error, Reason}`). It is a
    part of the window that its place in the script belongs to, and cuts none.
    """

    call: Call
    timeout: Timeout = "default"
    """How long it may take to answer: everybody stands still meanwhile."""
    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class RestartNewEmulator:
    """Restart with the new emulator and core applications, before anything else is done (BEAM only)."""

    location: Location | None = _location()


@dataclass(frozen=True, slots=True)
class RestartEmulator:
    """Restart the node after everything else is done (BEAM only)."""

    location: Location | None = _location()


ModuleInstruction: TypeAlias = Update | LoadModule | AddModule | DeleteModule
ApplicationInstruction: TypeAlias = AddApplication | RemoveApplication | RestartApplication
HighLevel: TypeAlias = ModuleInstruction | ApplicationInstruction
LowLevel: TypeAlias = (
    LoadObjectCode
    | PointOfNoReturn
    | Load
    | Remove
    | PurgeModules
    | Suspend
    | Resume
    | CodeChange
    | Stop
    | Start
    | SyncNodes
    | Apply
    | Verify
    | RestartNewEmulator
    | RestartEmulator
)
Instruction: TypeAlias = HighLevel | LowLevel
