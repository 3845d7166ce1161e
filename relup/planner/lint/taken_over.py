"""What `keep` and `instances` name: a slip of the pen is found in the texts, before a node is asked."""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.code import PythonModule
from relup.model.instructions import Instruction, Load, LoadModule, Update
from relup.planner.lint.scene import Scene
from relup.planner.lint.table import finding
from relup.planner.names import did_you_mean


def check_taken_over(scene: Scene) -> Iterator[Diagnostic]:
    """Find names to keep, classes and functions that a version of their module does not have."""
    for module, i in scene.loads.items():
        versions = (scene.before.module(module), scene.after.module(module))
        if isinstance(i, Update | LoadModule | Load) and versions[0] and versions[1]:
            for name in i.keep:
                yield from _without(i, "no_such_name", f"keep: no {name}", name, versions)
            for migration in i.instances:
                wanted = migration.cls.partition(".")[0]
                yield from _without(i, "no_such_class", f"instances: no {migration.cls}", wanted, versions)
                yield from _function(scene, i, module, migration.function)


def _function(scene: Scene, i: Instruction, module: str, function: str) -> Iterator[Diagnostic]:
    """Find a function that the newer version, which knows both, does not have."""
    home, _, name = function.rpartition(":")
    newer = scene.newer.module(home or module)
    if newer:
        yield from _without(i, "no_such_function", f"instances: no {name}", name.partition(".")[0], (newer,))


def _without(
    i: Instruction, code: str, what: str, name: str, versions: tuple[PythonModule | None, ...]
) -> Iterator[Diagnostic]:
    for version in versions:
        if version and not {name, "*"} & version.outline.names:
            hint = did_you_mean(name, version.outline.names) or f"define it in {version.path}"
            yield finding(code, f"{what} in {version.name} ({version.path})", i.location, hint)
