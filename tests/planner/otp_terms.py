"""Between OTP's terms and relup's instructions, for tests that ask OTP for the truth.

Terms come as JSON: `{"t": [...]}` is a tuple, `{"s": "..."}` a string, a bare string an atom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import networkx as nx

from relup.model.instructions import (
    AddApplication,
    AddModule,
    Advanced,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Direction,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    LowLevel,
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
    Stop,
    SupervisorChange,
    Suspend,
    Suspension,
    SyncNodes,
    Update,
)
from relup.model.release import Application

Json = Any


class NoCounterpart(Exception):
    """A term that is no instruction of relup: OTP's tag for it, or None where OTP accepts it."""

    def __init__(self, term: Json, tag: str | None) -> None:
        super().__init__(f"{term!r} has no counterpart")
        self.tag = tag


# ── from OTP ───────────────────────────────────────────────────────────────────────────────────────────


def plain(term: Json) -> Any:
    match term:
        case {"t": items}:
            return tuple(plain(i) for i in items)
        case {"s": text}:
            return text
        case list():
            return [plain(i) for i in term]
        case _:
            return term


def instruction(term: Json) -> Instruction:
    match plain(term):
        case "point_of_no_return":
            return PointOfNoReturn()
        case "restart_new_emulator":
            return RestartNewEmulator()
        case "restart_emulator":
            return RestartEmulator()
        case "restart" | "reboot":
            raise NoCounterpart(term, None)
        case "mnesia_backup":
            raise NoCounterpart(term, "not_yet_implemented")
        case (str(name), *fields):
            made = _instruction(name, fields)
            if made is not None:
                return made
    raise NoCounterpart(term, "bad_instruction")


def _instruction(name: str, fields: list[Any]) -> Instruction | None:
    match name, fields:
        case "update", [m]:
            return Update(m)
        case "update", [m, "supervisor"]:
            return Update(m, SupervisorChange())
        case "update", [m, list() as depends]:
            return Update(m, depends=_names(depends))
        case "update", [m, ("advanced", _) | "soft" as change]:
            return Update(m, _change(change))
        case "update", [m, ("advanced", _) | "soft" as change, list() as depends]:
            return Update(m, _change(change), _names(depends))
        case "update", [m, change, pre, post, depends]:
            return Update(m, _change(change), _names(depends), pre_purge=pre, post_purge=post)
        case "update", [m, timeout, change, pre, post, depends]:
            return Update(m, _change(change), _names(depends), timeout=timeout, pre_purge=pre, post_purge=post)
        case "update", [m, mod_type, timeout, change, pre, post, depends]:
            return Update(m, _change(change), _names(depends), mod_type, timeout, pre, post)
        case "load_module", [m]:
            return LoadModule(m)
        case "load_module", [m, list() as depends]:
            return LoadModule(m, _names(depends))
        case "load_module", [m, pre, post, depends]:
            return LoadModule(m, _names(depends), pre, post)
        case "add_module", [m, *depends] if len(depends) < 2:
            return AddModule(m, *map(_names, depends))
        case "delete_module", [m, *depends] if len(depends) < 2:
            return DeleteModule(m, *map(_names, depends))
        case "add_application", [a, *how] if len(how) < 2:
            return AddApplication(a, *how)
        case "remove_application", [a]:
            return RemoveApplication(a)
        case "restart_application", [a]:
            return RestartApplication(a)
        case "load_object_code", [(application, vsn, modules)]:
            return LoadObjectCode(application, vsn, _names(modules))
        case "load", [(m, pre, post)]:
            return Load(m, pre, post)
        case "remove", [(m, pre, post)]:
            return Remove(m, pre, post)
        case "purge", [modules]:
            return PurgeModules(_names(modules))
        case "suspend", [modules]:
            return Suspend(tuple(Suspension(*m) if isinstance(m, tuple) else Suspension(m) for m in modules))
        case "resume", [modules]:
            return Resume(_names(modules))
        case "code_change", [changes]:
            return CodeChange("up", _changes(changes))
        case "code_change", [mode, changes]:
            return CodeChange(mode, _changes(changes))
        case "stop", [modules]:
            return Stop(_names(modules))
        case "start", [modules]:
            return Start(_names(modules))
        case "sync_nodes", [id_, (m, f, a)]:
            return SyncNodes(id_, Call(m, f, _names(a)))
        case "sync_nodes", [id_, nodes]:
            return SyncNodes(id_, _names(nodes))
        case "apply", [(m, f, a)]:
            return Apply(Call(m, f, _names(a)))
        case _:
            return None


def _names(value: Any) -> Any:
    """A list becomes a tuple; what is no list stays for the planner to refuse."""
    return tuple(value) if isinstance(value, list) else value


def _change(value: Any) -> Any:
    match value:
        case "soft":
            return Soft()
        case ("advanced", extra):
            return Advanced(_extra(extra))
        case _:
            return value


def _extra(value: Any) -> Any:
    return None if value == [] else value


def _changes(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(ModuleChange(c[0], _extra(c[1])) if isinstance(c, tuple) and len(c) == 2 else c for c in value)


def application(term: Mapping[str, Any]) -> Application:
    return Application(term["name"], term["vsn"], tuple(term["modules"]), type=term.get("type", "permanent"))


def outcome(result: Json) -> tuple[LowLevel, ...] | str:
    """OTP's answer: the script, or the tag of its error."""
    match plain(result):
        case ("ok", _):
            return tuple(instruction(i) for i in result["t"][1])  # type: ignore[misc]  # all low-level
        case ("error", _, (str(tag), *_)) | ("error", _, str(tag)):
            return tag
    raise AssertionError(result)


# ── to OTP ─────────────────────────────────────────────────────────────────────────────────────────────


def erl(value: object) -> str:
    """Write a value as an Erlang term."""
    match value:
        case None:
            return "[]"
        case int():
            return str(value)
        case str():
            return "'" + value + "'"
        case list() | tuple():
            return "[" + ",".join(map(erl, value)) + "]"
        case Soft():
            return "soft"
        case Advanced(extra):
            return f"{{advanced,{erl(extra)}}}"
        case Suspension(m, "default"):
            return erl(m)
        case Suspension(m, timeout):
            return f"{{{erl(m)},{erl(timeout)}}}"
        case ModuleChange(m, extra):
            return f"{{{erl(m)},{erl(extra)}}}"
        case Call(m, f, a):
            return f"{{{erl(m)},{erl(f)},{erl(a)}}}"
        case Update(m, SupervisorChange()):
            return f"{{update,{erl(m)},supervisor}}"
        case Update(m, change, depends, mod_type, timeout, pre, post):
            return _tuple("update", m, mod_type, timeout, change, pre, post, depends)
        case LoadModule(m, depends, pre, post):
            return _tuple("load_module", m, pre, post, depends)
        case AddModule(m, depends):
            return _tuple("add_module", m, depends)
        case DeleteModule(m, depends):
            return _tuple("delete_module", m, depends)
        case AddApplication(a, how):
            return _tuple("add_application", a, how)
        case RemoveApplication(a):
            return _tuple("remove_application", a)
        case RestartApplication(a):
            return _tuple("restart_application", a)
        case LoadObjectCode(a, vsn, modules):
            return f'{{load_object_code,{{{erl(a)},"{vsn}",{erl(modules)}}}}}'
        case Load(m, pre, post):
            return f"{{load,{_tuple(m, pre, post)}}}"
        case Remove(m, pre, post):
            return f"{{remove,{_tuple(m, pre, post)}}}"
        case PurgeModules(modules):
            return _tuple("purge", modules)
        case Suspend(modules):
            return _tuple("suspend", modules)
        case Resume(modules):
            return _tuple("resume", modules)
        case CodeChange(mode, changes):
            return _tuple("code_change", mode, changes)
        case Stop(modules):
            return _tuple("stop", modules)
        case Start(modules):
            return _tuple("start", modules)
        case SyncNodes(id_, nodes):
            return _tuple("sync_nodes", id_, nodes)
        case Apply(call):
            return _tuple("apply", call)
        case PointOfNoReturn():
            return "point_of_no_return"
        case RestartEmulator():
            return "restart_emulator"
        case RestartNewEmulator():
            return "restart_new_emulator"
    raise AssertionError(value)


def _tuple(*items: object) -> str:
    return "{" + ",".join(map(erl, items)) + "}"


# ── comparing ──────────────────────────────────────────────────────────────────────────────────────────


def rank_of(direction: Direction, script: Iterable[LowLevel]) -> dict[str, int]:
    """OTP's own order of the modules, dependents first; what is removed and loaded again stands where it is loaded."""
    steps = [i for i in script if isinstance(i, Load | Remove)]
    loaded = {i.module for i in steps if isinstance(i, Load)}
    order = [i.module for i in steps if isinstance(i, Load) or i.module not in loaded]
    return {m: n for n, m in enumerate(reversed(order) if direction == "up" else order)}


def contents(script: Iterable[LowLevel]) -> Counter[str]:
    """What a script does, whatever the order of independent modules."""
    return Counter(repr(part) for i in script for part in _parts(i))


def _parts(i: LowLevel) -> Iterator[object]:
    match i:
        case LoadObjectCode(application, vsn, modules):
            yield from ((application, vsn, m) for m in modules)
        case Suspend(parts) | CodeChange(_, parts):
            yield from ((type(i), part) for part in parts)
        case Resume(modules):
            yield from ((Resume, m) for m in modules)
        case _:
            yield i


def breaches(
    direction: Direction, scripts: Sequence[Sequence[Instruction]], script: Sequence[LowLevel]
) -> Iterator[str]:
    """Yield each dependency that the order of *script* does not keep."""
    graph = nx.DiGraph(
        (i.module, d)
        for s in scripts
        for i in s
        if isinstance(i, Update | LoadModule | AddModule | DeleteModule)
        for d in i.depends
    )
    circle = {m: n for n, names in enumerate(nx.strongly_connected_components(graph)) for m in names}
    code = [i.module for i in script if isinstance(i, Load | Remove)]
    suspended = [s.module for i in script if isinstance(i, Suspend) for s in i.modules]
    resumed = [m for i in script if isinstance(i, Resume) for m in i.modules]
    for m, d in graph.edges:
        if circle[m] != circle[d]:
            early, late = (d, m) if direction == "up" else (m, d)
            yield from _before("code", code, early, late)
            yield from _before("suspend", suspended, m, d)
            yield from _before("resume", resumed, d, m)


def _before(what: str, order: Sequence[str], early: str, late: str) -> Iterator[str]:
    """Low-level instructions may name a module once more: then its place says nothing."""
    if order.count(early) == order.count(late) == 1 and order.index(early) > order.index(late):
        yield f"{what}: {late} before {early}"
