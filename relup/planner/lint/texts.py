"""Texts that are no Python: no node could load them."""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.planner.lint.scene import Scene


def check_texts(scene: Scene) -> Iterator[Diagnostic]:
    """Find modules that are loaded and do not compile; what runs already, and did not change, does."""
    before, after = scene.before.release.code, scene.after.release.code
    for module in scene.loads:
        if before.text(module) != after.text(module) and (found := after.fault(module)):
            yield found
