"""What a draft is made from: two releases, how their texts differ, and what the upgrade loads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from relup.model.code import Code
from relup.model.release import Release
from relup.planner.draft.changes import Differences


@dataclass(frozen=True, slots=True)
class Scene:
    """Two releases and what leads from one to the other."""

    before: Release
    after: Release
    differences: Differences
    loaded: Collection[str]
    """Modules that the upgrade loads: instances of their classes are instances of old classes after it."""

    @property
    def old(self) -> Code:
        """The code of the older release."""
        return self.before.code

    @property
    def new(self) -> Code:
        """The code of the newer release."""
        return self.after.code

    def old_vsn(self, module: str) -> str:
        """Return the older version of the application that has *module*."""
        return next((a.vsn for a in self.before.applications if module in a.modules), self.before.vsn)

    def differs(self, module: str, cls: str) -> bool:
        """Say whether a class that both versions of *module* have does something else now."""
        return module in self.differences and cls in self.differences[module].classes
