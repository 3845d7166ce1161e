"""What a draft is made from: two releases, how their texts differ, and what the upgrade loads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from relup.model.code import Code
from relup.model.release import Release
from relup.model.shapes import LiveStates
from relup.syntax.difference import Difference, difference


@dataclass(frozen=True, slots=True)
class Scene:
    """Two releases and what leads from one to the other."""

    before: Release
    after: Release
    changed: Collection[str]
    """Modules that both releases have and that do something else in the newer one."""
    loaded: Collection[str]
    """Modules that the upgrade loads: instances of their classes are instances of old classes after it."""
    live: Sequence[LiveStates] = ()
    """The states of the older release's servers, where a node was looked at."""
    _differences: dict[str, Difference] = field(default_factory=dict, compare=False, repr=False)
    """Found once for each module that is asked about."""

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

    def difference(self, module: str) -> Difference:
        """Return how the classes of a module differ."""
        if module not in self.changed:
            return Difference()
        if module not in self._differences:
            before, after = self.old.text(module), self.new.text(module)
            self._differences[module] = difference(before or b"", after or b"")
        return self._differences[module]
