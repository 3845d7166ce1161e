"""Releases of one application from the ways between them, for tests of routes and graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from relup.model.instructions import Advanced, Apply, Call, Instruction, LoadModule, RestartApplication, Update
from relup.model.release import Release
from relup.model.versions import natural
from tests.planner.build import Listed, app, appup, release

WAYS: Mapping[str, Sequence[Instruction]] = {
    "load": [LoadModule("cart"), LoadModule("till")],
    "one": [Update("cart"), LoadModule("till")],
    "two": [Update("cart", Advanced()), Update("till", depends=("cart",))],
    "restart": [RestartApplication("shop")],
    "call": [LoadModule("cart"), LoadModule("till"), Apply(Call("io", "format", ("hello",)))],
    "wrong": [Update("cart")],
    "typo": [Update("cart"), Update("till"), LoadModule("tilll")],
}
"""What an entry may hold: the last two are no plan."""


def versions(ways: str, also: str = "") -> dict[str, Release]:
    """Releases with these entries.

    `1+2=two` is an up entry from 1 in the appup of 2, `2-1` a down entry to 1 there (`one`), `1~2` is both.
    """
    entries: dict[str, dict[str, dict[str, Listed]]] = {"+": {}, "-": {}}
    found: set[str] = {*also.split()}
    for start, sign, end, kind in re.findall(r"([^\s+~-]+)([+~-])([^\s=]+)(?:=(\w+))?", ways):
        newer, older = (start, end) if sign == "-" else (end, start)
        found |= {newer, older}
        for one in "+-" if sign == "~" else sign:
            entries[one].setdefault(newer, {})[older] = WAYS[kind or "one"]
    return {
        vsn: release(
            vsn,
            app(
                vsn,
                {"cart": f"c{vsn}", "till": f"t{vsn}"},
                appup=appup(entries["+"].get(vsn, {}), entries["-"].get(vsn, {}), vsn),
            ),
            root=f"/releases/{vsn}",
        )
        for vsn in sorted(found, key=natural)
    }
