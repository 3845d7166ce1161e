"""Which modules of an application changed, by what they do."""

from __future__ import annotations

from dataclasses import dataclass

from relup.model.release import Application, Release
from relup.planner.legs import pairs
from relup.planner.sameness import only_comments


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


def changes(older: Release, newer: Release) -> tuple[Change, ...]:
    """Return the applications whose versions differ, in the order of the newer release."""
    return tuple(_change(older, newer, p.older, p.newer) for p in pairs(newer, older))


def _change(older: Release, newer: Release, before: Application, after: Application) -> Change:
    had, has = frozenset(before.modules), frozenset(after.modules)
    differing = [m for m in after.modules if m in had and before.fingerprints.get(m) != after.fingerprints.get(m)]
    commented = frozenset(m for m in differing if only_comments(older.code, newer.code, m))
    return Change(
        older=before,
        newer=after,
        changed=tuple(m for m in differing if m not in commented),
        commented=tuple(m for m in differing if m in commented),
        added=tuple(m for m in after.modules if m not in had),
        deleted=tuple(m for m in before.modules if m not in has),
    )
