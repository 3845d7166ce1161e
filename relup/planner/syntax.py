"""Whether an instruction's fields hold what their types promise, under OTP's tags.

Documents are checked where they are read, with better words. But a script may also be built by a program,
and a wrong value would otherwise travel as far as a node before it does harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    AddApplication,
    AddModule,
    Advanced,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Load,
    LoadModule,
    LoadObjectCode,
    Migration,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Soft,
    Start,
    StateFunction,
    Stop,
    SupervisorChange,
    Suspend,
    Suspension,
    SyncNodes,
    Update,
    Verify,
)
from relup.planner.names import keyword

_PURGES = ("soft_purge", "brutal_purge")
_START_TYPES = ("permanent", "transient", "temporary", "load", "none")
Fault = tuple[str, str]


def check_syntax(instruction: object) -> Iterator[Diagnostic]:
    """Find what is wrong with one instruction by itself."""
    location = getattr(instruction, "location", None)
    for code, message in _faults(instruction):
        yield Diagnostic(code, f"{keyword(instruction)}: {message}", location)


def _faults(instruction: object) -> Iterator[Fault]:
    match instruction:
        case Update(module, change, depends, mod_type, timeout, pre_purge, post_purge, keep, instances, migrate):
            yield from chain(_module(module), _modules(depends), _change(change), _timeout(timeout))
            yield from _one_of("bad_mod_type", mod_type, ("static", "dynamic"))
            yield from chain(_purge(pre_purge), _purge(post_purge), _state(keep, instances))
            yield from _migrate(migrate)
            if migrate is not None and isinstance(change, SupervisorChange):
                yield "bad_migrate", "a supervisor has no state that a function could change: leave out `migrate`"
        case LoadModule(module, depends, pre_purge, post_purge, keep, instances):
            yield from chain(_module(module), _modules(depends), _purge(pre_purge), _purge(post_purge))
            yield from _state(keep, instances)
        case AddModule(module, depends) | DeleteModule(module, depends):
            yield from chain(_module(module), _modules(depends))
        case Load(module, pre_purge, post_purge, keep, instances):
            yield from chain(_module(module), _purge(pre_purge), _purge(post_purge), _state(keep, instances))
        case Remove(module, pre_purge, post_purge):
            yield from chain(_module(module), _purge(pre_purge), _purge(post_purge))
        case AddApplication(application, type):
            yield from _name("bad_application", application, "an application")
            yield from _one_of("bad_start_type", type, _START_TYPES)
        case RemoveApplication(application) | RestartApplication(application):
            yield from _name("bad_application", application, "an application")
        case LoadObjectCode(application, vsn, modules):
            yield from _name("bad_lib", application, "an application")
            yield from _name("bad_lib_vsn", vsn, "a version")
            yield from _modules(modules)
        case PurgeModules(modules) | Resume(modules) | Stop(modules) | Start(modules):
            yield from _modules(modules)
        case Suspend(suspensions):
            yield from _list(suspensions)
            yield from chain.from_iterable(_suspension(s) for s in _items(suspensions))
        case CodeChange(mode, changes):
            yield from _one_of("bad_mode", mode, ("up", "down"))
            yield from _list(changes)
            yield from chain.from_iterable(_module_change(c) for c in _items(changes))
        case Apply(call, undo):
            yield from _call(call)
            if undo is not None:
                yield from _call(undo)
        case Verify(call, timeout):
            yield from chain(_call(call), _timeout(timeout))
            if timeout == "infinity":
                yield "bad_timeout", "everybody stands still until it has answered: give it milliseconds"
        case SyncNodes(_, nodes):
            yield from _nodes(nodes)
        case PointOfNoReturn() | RestartNewEmulator() | RestartEmulator():
            pass
        case _:
            yield "bad_instruction", f"{instruction!r} is no instruction"


def _name(code: str, value: object, what: str) -> Iterator[Fault]:
    if not isinstance(value, str) or not value:
        yield code, f"{value!r} does not name {what}"


def _module(value: object) -> Iterator[Fault]:
    yield from _name("bad_module", value, "a module")


def _list(value: object) -> Iterator[Fault]:
    if not isinstance(value, list | tuple):
        yield "bad_list", f"{value!r} is no list"


def _items(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _modules(value: object) -> Iterator[Fault]:
    yield from _list(value)
    for item in _items(value):
        yield from _module(item)


def _one_of(code: str, value: object, allowed: tuple[str, ...]) -> Iterator[Fault]:
    if value not in allowed:
        yield code, f"{value!r} is none of {', '.join(allowed)}"


def _purge(value: object) -> Iterator[Fault]:
    yield from _one_of("bad_purge_method", value, _PURGES)


def _state(keep: object, instances: object) -> Iterator[Fault]:
    """Check what goes over with the code: names, and classes with functions, each spelt as Python spells it."""
    if not isinstance(keep, list | tuple):
        yield "bad_keep", f"{keep!r} is no list of names"
    for name in _items(keep):
        if not isinstance(name, str) or not name.isidentifier():
            yield "bad_keep", f"{name!r} is no name that a module can define"
        elif name.startswith("__"):
            yield "bad_keep", f"{name!r} says something of one version of a module and is never kept"
    if not isinstance(instances, list | tuple):
        yield "bad_instances", f"{instances!r} names no classes with functions"
    for item in _items(instances):
        match item:
            case Migration(cls, function):
                yield from _dotted("bad_instances", cls, "a class of the module, such as Cart or Cart.Item")
                what = "a function, such as upgrade_cart or shop.migrations:upgrade_cart"
                for part in function.split(":", 1) if isinstance(function, str) else (function,):
                    yield from _dotted("bad_instances", part, what)
            case _:
                yield "bad_instances", f"{item!r} is no class with a function"


def _dotted(code: str, value: object, what: str) -> Iterator[Fault]:
    if not isinstance(value, str) or not all(part.isidentifier() for part in value.split(".")):
        yield code, f"{value!r} does not name {what}"


def _change(value: object) -> Iterator[Fault]:
    if not isinstance(value, Soft | Advanced | SupervisorChange):
        yield "bad_change", f"{value!r} is none of soft, advanced, supervisor"


def _timeout(value: object) -> Iterator[Fault]:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (value in ("default", "infinity") or (whole and value > 0)):  # type: ignore[operator]  # an int by then
        yield "bad_timeout", f"{value!r} is neither milliseconds above 0 nor default nor infinity"


def _migrate(value: object) -> Iterator[Fault]:
    match value:
        case None:
            pass
        case StateFunction(module, function):
            yield from _module(module)
            yield from _name("bad_func", function, "a function")
        case _:
            yield "bad_migrate", f"{value!r} is no function of a module"


def _suspension(value: object) -> Iterator[Fault]:
    match value:
        case Suspension(module, timeout):
            yield from chain(_module(module), _timeout(timeout))
        case _:
            yield "bad_module", f"{value!r} is no module with a timeout"


def _module_change(value: object) -> Iterator[Fault]:
    match value:
        case ModuleChange(module):
            yield from chain(_module(module), _migrate(value.migrate))
        case _:
            yield "bad_code_change", f"{value!r} is no module with what it is told"


def _call(value: object) -> Iterator[Fault]:
    match value:
        case Call(module, function):
            yield from _module(module)
            yield from _name("bad_func", function, "a function")
            args: object = value.args
            if not isinstance(args, list | tuple):
                yield "bad_args_list", f"{args!r} is no list of arguments"
        case _:
            yield "bad_instruction", f"{value!r} is no call of a function"


def _nodes(value: object) -> Iterator[Fault]:
    if isinstance(value, Call):
        yield from _call(value)
        return
    yield from _list(value)
    for node in _items(value):
        yield from _name("bad_node", node, "a node")
