"""The entries and attributes of its state that a server's callbacks name."""

from __future__ import annotations

from relup.planner.roles import Role

CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "terminate")


def state_keys(role: Role) -> frozenset[str]:
    """Return what is named of the state, as `['entry']` or `.attribute`."""
    return frozenset(k for name in CALLBACKS if (m := role.method(name)) for k in m.keys)


def entries(role: Role) -> frozenset[str]:
    """Return the entries among them, by their keys."""
    return frozenset(k[2:-2] for k in state_keys(role) if k.startswith("['"))
