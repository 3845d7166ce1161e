"""Questions to a node that need no agent: expressions of Erlang, evaluated there, and what is known of it from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relup.targets.beam.bridge import Bridge
from relup.targets.beam.terms import Atom, Term, characters, text


async def evaluate(
    bridge: Bridge, source: str, bindings: Mapping[str, Term] | None = None, *, within: float = 5.0
) -> Any:
    """Return the value of expressions of Erlang on the node, separated by commas, with a full stop, *within* seconds.

    Raises `Raised` when they are none, or when they raise.
    """
    _, tokens, _ = await bridge.call("erl_scan", "string", [characters(source)])
    _, expressions = await bridge.call("erl_parse", "parse_exprs", [tokens])
    bound = [(Atom(name), value) for name, value in (bindings or {}).items()]
    _, value, _ = await bridge.call("erl_eval", "exprs", [expressions, bound], timeout=within)
    return value


async def system_info(bridge: Bridge, what: str) -> str:
    """Return what `erlang:system_info/1` says, where that is a text."""
    return text(await bridge.call("erlang", "system_info", [Atom(what)]))


async def applications(bridge: Bridge) -> dict[str, str]:
    """Return the applications that the node has loaded, with their versions."""
    found = await bridge.call("application", "loaded_applications")
    return {str(name): text(vsn) for name, _, vsn in found}


async def booted(bridge: Bridge) -> tuple[str, str]:
    """Return name and version of the release that the node booted."""
    name, vsn = await bridge.call("init", "script_id")
    return text(name), text(vsn)
