"""What must hold before a process of a Python node is touched: the plan's base runs, its files are unchanged.

Each check is a generator of diagnostics and raises nothing; the transaction refuses once, with all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from relup.diagnostics import Diagnostic, Location, Refused, in_words
from relup.document import source_path
from relup.document.text import is_folder
from relup.model.instructions import Load, Remove
from relup.model.pairs import check_pairs
from relup.model.policy import check_policy
from relup.model.release import Release
from relup.model.relup import Relup
from relup.runtime import Node
from relup.runtime.code import Source
from relup.runtime.code.finder import same_extension
from relup.syntax.meaning import same_meaning
from relup.targets.python.home import changed_in_place


def check_base(relup: Relup, running: Release, node: Node) -> Iterator[Diagnostic]:
    """Find where the plan's base differs from what runs."""
    base = relup.base
    if (base.name, base.vsn) != (running.name, running.vsn) and base.root == running.root:
        yield changed_in_place(running.root, str(running), str(base))
        return
    if (base.name, base.vsn) != (running.name, running.vsn):
        message = f"the plan leads from {base} to {relup.goal}, but the node runs {running}"
        yield Diagnostic("wrong_base", message, hint="plan again against the running release")
        return
    planned = {a.name: a.vsn for a in base.applications}
    present = {a.name: a.vsn for a in running.applications}
    for name in sorted(planned.keys() | present.keys()):
        if planned.get(name) != present.get(name):
            message = (
                f"application {name!r} is {planned.get(name, 'absent')} in the plan, {present.get(name, 'absent')} here"
            )
            yield Diagnostic("wrong_base", message)
    for module, planned_digest in sorted(base.fingerprints().items()):
        loaded = node.code.digest(module)
        if loaded is not None and loaded != planned_digest:
            message = f"the node runs other code of {module!r} than the plan's base {base}: its file was changed"
            yield Diagnostic("stale_base", message, hint="plan against the files that the node was started from")


def check_goal(goal: Release, sources: Mapping[str, Source]) -> Iterator[Diagnostic]:
    """Find where the goal's files, as they were read, are not those that the plan was made from."""
    for module, planned in sorted(goal.fingerprints().items()):
        source = sources.get(module)
        if source is None:
            yield Diagnostic("stale_plan", f"{goal.root}: module {module!r} is gone since the plan was made")
        elif source.digest != planned:
            message = f"{source.path}: module {module!r} changed since the plan was made"
            yield Diagnostic("stale_plan", message, hint="plan again")


def check_extensions(goal: Release, files: Mapping[str, Path]) -> list[Diagnostic]:
    """Find C extensions whose files changed since planning, and those of which the process has another one loaded.

    A plan compares two releases; a process may have loaded an extension of an earlier one, which stays. Reads files
    that may be large: call it in a worker thread.
    """
    return list(_extensions(goal, files))


def _extensions(goal: Release, files: Mapping[str, Path]) -> Iterator[Diagnostic]:
    planned = goal.extensions()
    for module, path in files.items():
        if _digest(path) != planned.get(module):
            message = f"{path}: the C extension {module!r} changed since the plan was made"
            yield Diagnostic("stale_plan", message, hint="plan again")
        loaded = sys.modules.get(module)
        if loaded is not None and not same_extension(loaded, path):
            origin = getattr(loaded, "__file__", None) or "another file"
            message = f"this process has loaded {module!r} from {origin}, and cannot load the C extension at {path}"
            yield Diagnostic("extension_changed", message, hint="restart the node on the new release")


def _digest(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def check_whole(relup: Relup) -> Iterator[Diagnostic]:
    """Find what an edited plan does wrong: it leaves a module alone, parts a pair, or asks what no node can do."""
    base, goal = relup.base.fingerprints(), relup.goal.fingerprints()
    touched = {i.module for i in relup.script if isinstance(i, Load | Remove)}
    for module in sorted(base.keys() | goal.keys()):
        if base.get(module) != goal.get(module) and module not in touched and not _same(relup, module):
            yield Diagnostic(
                "changed_not_loaded", f"the plan leaves {module!r} alone, which changes", hint="plan again"
            )
    was, will = relup.base.extensions(), relup.goal.extensions()
    for module in sorted(was.keys() & will.keys()):
        if was[module] != will[module]:
            message = f"the C extension {module!r} changes, and a Python process cannot load it a second time"
            yield Diagnostic("extension_changed", message, hint="restart the node on the new release")
    for script in (relup.script, relup.way_back or ()):
        yield from check_pairs(script)
        yield from check_policy(script, "python")
    if relup.goal.kind != "python":
        yield Diagnostic("different_kinds", f"{relup.goal} is a release of a {relup.goal.kind} node")


def _same(relup: Relup, module: str) -> bool:
    """Say whether a module's texts, as they were planned, differ in nothing but comments, layout and docstrings."""
    texts = [_planned_text(release, module) for release in (relup.base, relup.goal)]
    return texts[0] is not None and texts[1] is not None and same_meaning(texts[0], texts[1])


def _planned_text(release: Release, module: str) -> bytes | None:
    path = source_path(Path(release.root), module)
    try:
        text = path.read_bytes() if path else b""
    except OSError:
        return None
    return text if sha256(text).hexdigest() == release.fingerprints().get(module) else None


def load_sources(goal: Release) -> Mapping[str, Source]:
    """Read the modules of *goal* that are there, once: what is checked is what is run. Raises `Refused`."""
    root = Path(goal.root)
    if not is_folder(root):
        raise Refused([Diagnostic("stale_plan", f"{root}: the plan's release folder is not there")])
    try:
        return {
            module: Source(module, str(path), path.read_bytes(), path.name == "__init__.py")
            for application in goal.applications
            for module in application.modules
            if (path := source_path(root, module))
        }
    except OSError as error:
        raise Refused([Diagnostic("unreadable", f"{error.filename}: {error.strerror}")]) from error


def inspect(relup: Relup) -> list[Diagnostic]:
    """Find what of a later hop is known to fail before the first one runs. Raises `Refused` without its files."""
    sources = load_sources(relup.goal)
    return [*check_whole(relup), *check_goal(relup.goal, sources), *_check_syntax(relup, sources)]


def _check_syntax(relup: Relup, sources: Mapping[str, Source]) -> Iterator[Diagnostic]:
    for source in (sources[i.module] for i in relup.script if isinstance(i, Load) and i.module in sources):
        try:
            compile(source.text, source.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            place = Location(source.path, getattr(error, "lineno", None) or 1, 1)
            yield Diagnostic("bad_code", f"module {source.name!r} cannot be loaded: {in_words(error)}", place)
