"""Whether a server's `code_change` was written for the newer of two releases, or is that of the older one."""

from __future__ import annotations

from collections.abc import Callable

from relup.planner.roles import Role
from relup.syntax.difference import Difference


def is_new(old: Role, new: Role, difference: Callable[[str], Difference]) -> bool:
    """Say whether a class has a `code_change`, its own or a base's, that was written since the older release.

    *difference* says how the classes of a module differ. One that another base has now than before is new.
    """
    before, after = _home(old), _home(new)
    if after is None:
        return False
    module, name = after
    return before != after or (name, "code_change") in difference(module).methods


def _home(role: Role) -> tuple[str, str] | None:
    """Return the module and the class whose `code_change` is called, None where there is none."""
    return next(((m, c.name) for m, c in role.classes if "code_change" in c.methods), None)
