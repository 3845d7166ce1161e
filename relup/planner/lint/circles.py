"""Who waits for whom: callers in a circle, and clients that wait in code which is purged."""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.code import BeamModule
from relup.model.instructions import Load, LoadModule, Update
from relup.planner.lint.classes import Classes
from relup.planner.lint.scene import Scene, where
from relup.planner.lint.table import finding
from relup.planner.names import keyword
from relup.planner.networks import nx
from relup.syntax.callbacks import called, started

_CALLS = {("gen_server", "call"), ("gen_statem", "call"), ("Elixir.GenServer", "call")}


def check_circles(scene: Scene) -> Iterator[Diagnostic]:
    """Note servers of updated modules that call each other in a circle."""
    updates = {u.module: u for u in scene.updates()}
    if len(updates) < 2 or scene.leg.direction == "down":
        return
    edges = dict(_edges(scene.after, list(updates)))
    if len(edges) < 2:
        return
    graph: nx.DiGraph[str] = nx.DiGraph(list(edges))
    for circle in sorted(sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1):
        told = [f"{a} calls {b}{at}" for (a, b), at in edges.items() if a in circle and b in circle]
        message = f"servers that are suspended together call each other in a circle: {', '.join(told)}"
        hint = "let one of them cast, or answer later: NoReply and self.reply"
        yield finding("call_circle", message, updates[circle[0]].location, hint)


def _edges(classes: Classes, modules: list[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield which module's servers wait for which, and where."""
    names = dict(_registered(classes)) if any(map(classes.module, modules)) else {}
    for module in modules:
        match classes.release.code.module(module):
            case BeamModule() as found:
                for other in sorted({m for m, _, _ in found.imports if m != module and m in modules}):
                    if _asks(classes, other):
                        yield (module, other), ""
            case None:
                pass
            case _:
                for call in called(classes.text(module)):
                    other = names.get(call.name, module)
                    if other != module and other in modules:
                        at = where(classes, module, call.line)
                        yield (module, other), f" ({at.file}:{at.line})" if at else ""


def _registered(classes: Classes) -> Iterator[tuple[str, str]]:
    """Yield the names of processes, and the modules whose code they run."""
    for module in classes.modules():
        text = classes.text(module)
        if b"ChildSpec" in text or b"start" in text:
            for found in started(text):
                place = classes.resolve(module, found.start)
                if place and found.name:
                    yield found.name, place.module


def _asks(classes: Classes, module: str) -> bool:
    """Say whether a module of BEAM has functions that wait for a server."""
    found = classes.beam(module)
    return found is not None and any((m, f) in _CALLS for m, f, _ in found.imports)


def check_purges(scene: Scene) -> Iterator[Diagnostic]:
    """Note modules of BEAM that are purged brutally while clients may wait in them; a Python node kills nobody."""
    if scene.leg.before.kind != "beam":
        return
    asking = {
        m: i
        for m, i in scene.loads.items()
        if isinstance(i, Update | LoadModule | Load)
        and "brutal_purge" in (i.pre_purge, i.post_purge)
        and _asks(scene.before, m)
    }
    for user in scene.before.modules() if asking else ():
        found = scene.before.beam(user)
        used = {m for m, _, _ in found.imports if m in asking and m != user} if found else set()
        for module in sorted(used):
            i = asking.pop(module)
            message = (
                f"{keyword(i)}: {module!r} is purged brutally, which kills {user} while it waits in it for an answer"
            )
            yield finding("brutal_purge", message, i.location, "pre_purge: soft_purge, post_purge: soft_purge")
