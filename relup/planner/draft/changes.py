"""Which modules of an application changed, by what they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relup.model.release import Application, Release
from relup.planner.legs import pairs
from relup.syntax.difference import Difference, difference


@dataclass(frozen=True, slots=True)
class Change:
    """One application in two releases; modules by name, in their order."""

    older: Application
    newer: Application
    changed: tuple[str, ...]
    commented: tuple[str, ...]
    """Modules whose comments, layout and docstrings changed and nothing else."""
    added: tuple[str, ...]
    deleted: tuple[str, ...]

    @property
    def whole(self) -> tuple[str, ...]:
        """Every module of either version."""
        return tuple(sorted({*self.older.modules, *self.newer.modules}))


Differences = Mapping[str, Difference]
"""How the texts of each changed module of a Python release differ."""


def changes(older: Release, newer: Release) -> tuple[tuple[Change, ...], Differences]:
    """Return the applications whose versions differ, in the order of the newer release, and how their texts do."""
    differences: dict[str, Difference] = {}
    found = tuple(_change(older, newer, p.older, p.newer, differences) for p in pairs(newer, older))
    return found, differences


def _change(
    older: Release, newer: Release, before: Application, after: Application, differences: dict[str, Difference]
) -> Change:
    both = [m for m in after.modules if m in set(before.modules)]
    differing = [m for m in both if before.fingerprints.get(m) != after.fingerprints.get(m)]
    differences |= _differences(older, newer, differing)
    commented = [m for m in differing if m in differences and differences[m].same]
    return Change(
        older=before,
        newer=after,
        changed=tuple(m for m in differing if m not in set(commented)),
        commented=tuple(commented),
        added=tuple(m for m in after.modules if m not in set(before.modules)),
        deleted=tuple(m for m in before.modules if m not in set(after.modules)),
    )


def _differences(older: Release, newer: Release, modules: list[str]) -> Iterator[tuple[str, Difference]]:
    for module in modules:
        before, after = older.code.text(module), newer.code.text(module)
        if before is not None and after is not None:
            yield module, difference(before, after)
