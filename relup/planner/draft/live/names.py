"""The names that a node may tell of its states' parts: those that the texts of two releases have."""

from __future__ import annotations

from relup.model.release import Release
from relup.planner.roles import roles
from relup.syntax.spoken import spoken


def known_names(*releases: Release) -> list[str]:
    """Return the names in the applications that have servers; what else a key may be is data, and stays in the node."""
    return sorted({name for release in releases for m in _modules(release) for name in _spoken(release, m)})


def _modules(release: Release) -> list[str]:
    hosts = {m for m in release.code.mentioning({"relup"}) if roles(release.code, release.code.module(m))}
    return [m for a in release.applications if not hosts.isdisjoint(a.modules) for m in a.modules]


def _spoken(release: Release, module: str) -> frozenset[str]:
    return spoken(release.code.text(module) or b"")
