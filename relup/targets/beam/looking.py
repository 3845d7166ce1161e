"""What a BEAM node is seen to be from outside: its processes, and where its code differs from the release's files.

Nobody is asked anything: what is told here is what the node itself knows of its processes, so that a look disturbs
none of them, however busy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from relup.document.erlang.fingerprint import fingerprint
from relup.model.release import Release
from relup.targets.beam.asking import evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.files import consolidated
from relup.targets.beam.terms import Atom, text

LISTED = 1000
"""How many processes are named one by one."""
_ALWAYS = ("kernel", "stdlib", "sasl", "compiler", "elixir", "logger")
"""Applications that nearly every node has: their processes are counted and not named."""


async def look(bridge: Bridge, release: Release) -> dict[str, Any]:
    """Return the part of a node's status that is told by the node: processes, old code, and drift."""
    named = [Atom(m) for a in release.applications if a.name not in _ALWAYS for m in a.modules]
    every = [Atom(m) for a in release.applications for m in a.modules]
    bindings = {"Named": named, "Every": every, "Most": LISTED}
    pid, count, owner, processes, old, digests = await evaluate(bridge, _LOOK, bindings, within=30.0)
    loaded = {str(module): md5.hex() for module, md5 in digests}
    return {
        "pid": int(text(pid)),
        "upgrading": text(owner) or None,
        "process_count": count,
        "processes": [_process(told) for told in processes],
        "old_code": sorted(map(str, old)),
        "drift": sorted(other_code(release, release.fingerprints(), loaded)),
    }


def other_code(release: Release, known: Mapping[str, str], loaded: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules of which the node has *loaded* other code than is *known* of the release, by digest."""
    for module, digest in loaded.items():
        if digest not in (known.get(module, digest), _consolidated(release, module)):
            yield module


def _consolidated(release: Release, module: str) -> str | None:
    path = consolidated(release, module)
    found = fingerprint(path) if path else None
    return found if isinstance(found, str) else None


def _process(told: Any) -> dict[str, Any]:
    pid, module, vsn, name, waiting, function, status = told
    return {
        "pid": text(pid),
        "name": str(name) if name else None,
        "class": str(module),
        "vsn": text(vsn),
        "mailbox": waiting,
        "suspended": isinstance(function, tuple) and function[:2] == ("sys", "suspend_loop"),
        "busy": status != "waiting",
    }


_LOOK = """
    Agent = case whereis(relup_agent) of undefined -> []; P0 -> element(2, process_info(P0, dictionary)) end,
    Owner = case lists:keymember(deadline, 1, Agent) of true -> []; false -> proplists:get_value(owner, Agent, []) end,
    Wanted = maps:from_list([{M, true} || M <- Named]),
    Initial = fun(P) -> case proc_lib:initial_call(P) of {supervisor, M, _} -> M; {M, _, _} -> M; false -> none end end,
    One = fun([V]) -> V; (Vs) -> Vs end,
    Vsn = fun(M) -> io_lib:format("~0tp", [One(proplists:get_value(vsn, M:module_info(attributes), []))]) end,
    Keys = [registered_name, message_queue_len, current_function, status],
    Show = fun(P, M) -> case process_info(P, Keys) of undefined -> [];
        Values -> [list_to_tuple([pid_to_list(P), M, lists:flatten(Vsn(M)) | [V || {_, V} <- Values]])] end end,
    Found = [{P, M} || P <- processes(), M <- [Initial(P)], is_map_key(M, Wanted), erlang:module_loaded(M)],
    Loaded = [M || M <- Every, erlang:module_loaded(M)],
    Shown = lists:append([Show(P, M) || {P, M} <- lists:sublist(Found, Most)]),
    {os:getpid(), erlang:system_info(process_count), Owner, Shown,
        [M || M <- Loaded, erlang:check_old_code(M)], [{M, M:module_info(md5)} || M <- Loaded]}.
"""
