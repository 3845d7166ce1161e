"""The `code_change` of one server, both ways, without a node that runs.

The code of the older release is loaded and that of the newer one staged and swapped in, as an upgrade does it, so that
`counterpart` and `migrate` mean what they mean there. No application is started, and no process lives. What the appup
gives as `extra` is given here, and the versions are those that an upgrade tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Refused, in_words
from relup.document import read_extensions, read_sources
from relup.executor import Side
from relup.model.instructions import Load
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Window, inverse, segments
from relup.planner import plan
from relup.planner.children import processes
from relup.runtime import ClassReference, Down, GenServer, Node, Pid, Process
from relup.runtime.code import CodeError
from relup.runtime.context import inside
from relup.targets.python.bounded import within
from relup.targets.python.held import Replaced, still_held
from relup.targets.python.script import limit_of
from relup.targets.python.stage import Stage
from relup.targets.python.watchdog import Watchdog
from relup.testing.ways import read

Way: TypeAlias = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of `code_change`, as the plan makes it."""

    module: str
    old_vsn: Any
    extra: Any
    limit: float
    """Seconds that it may take."""


@dataclass(frozen=True, slots=True)
class Changing:
    """What calls the `code_change`; `prepared` is what the test made of the older release's code."""

    node: Node
    reference: ClassReference
    steps: dict[Way, list[Step]]
    relup: Relup
    prepared: Any
    replaced: Replaced
    watchdog: Watchdog
    """Interrupts what does not come back in the thread of the node's loop."""

    @property
    def server(self) -> str:
        """Who is asked, and between which releases."""
        return f"{self.reference.module}:{self.reference.qualname} of {self.relup}"

    def owned(self, kind: type) -> bool:
        """Say whether a class is one of the releases'."""
        return self.node.code.loaded(kind.__module__)

    def change(self, state: Any, step: Step, watchdog: Watchdog) -> Any:
        """Return what the code makes of a state, or an awaitable of it; raise what it raises.

        *watchdog* is that of the thread that calls this: what does not come back is interrupted, with an `Overrun`.
        """
        process = self._process(state)
        with inside(self.node), watchdog.step("", step.limit) as running:
            running.at = step
            try:
                return process.change_code(step.module, step.old_vsn, deepcopy(step.extra))
            except BaseException:
                if running.overrun:
                    raise running.overran() from None
                raise

    async def awaited(self, state: Awaitable[Any], step: Step) -> tuple[BaseException | None, Any]:
        """Return what an `async def code_change` raises, or else makes of a state.

        A loop in which `SystemExit` is raised ends, and nobody would hear of it; so nothing is raised here.
        """
        try:
            with inside(self.node), self.watchdog.step("", step.limit) as running:
                running.at = step
                return None, await within(step.limit, state)
        except BaseException as error:
            return running.overran() if running.overrun else error, None

    async def old_held(self, state: Any) -> str:
        """Return what a state of the newer release still holds of the code that was replaced; nothing if all is new."""
        found = await still_held([self._process(state)], self.replaced, {})
        return "\n".join(f"  {d}" for d in found if d.severity == "warning")

    def _process(self, state: Any) -> Process:
        process = Process(self.node, Pid(1), self.reference)
        process.state = state
        return process


@contextmanager
def watching(loop: asyncio.AbstractEventLoop) -> Iterator[Watchdog]:
    """Watch the thread that calls this for the length of the block; *loop* turns there, or in another one."""
    watchdog = Watchdog(loop)
    watchdog.start()
    try:
        yield watchdog
    finally:
        watchdog.close()


@asynccontextmanager
async def changing(old: Path, new: Path, server: str, prepare: Callable[[], Any]) -> AsyncIterator[Changing]:
    """Load both releases for the length of the block; call *prepare* when only the older one is.

    Raises `InvalidInput` and `Refused` with everything that keeps the newer one from being loaded.
    """
    with TemporaryDirectory(prefix="relup-") as folder:
        base, goal = read(old, Path(folder)), read(new, Path(folder))
        relup = plan(base, goal, "up")
        async with Node("round-trip") as node:
            reference, prepared = _booted(node, base, server, prepare)
            stage = Stage(node.code, relup)
            windows = [s for s in segments(relup.script) if isinstance(s, Window)]
            try:
                await stage.prepare(windows)
                staged = [s for window in windows if (s := stage.of(window))]
                for each in staged:
                    each.swap()
                steps, replaced = _steps(relup, windows, stage, reference), _replaced(windows, stage)
                with watching(node.loop) as watchdog:
                    yield Changing(node, reference, steps, relup, prepared, replaced, watchdog)
                for each in reversed(staged):
                    each.undo()
            finally:
                stage.close()


def _booted(node: Node, base: Release, server: str, prepare: Callable[[], Any]) -> tuple[ClassReference, Any]:
    """Load the older release and find the server in it."""
    try:
        node.code.boot(read_sources(base) | read_extensions(base))
        with inside(node):
            return node.code.reference(_class(base, server)), prepare()
    except CodeError as error:
        hint = "stop the node that runs it, and import nothing of it from elsewhere"
        raise Refused([Diagnostic("already_loaded", str(error), hint=hint)]) from None


def _class(base: Release, server: str) -> type:
    """Return the class that *server* means: `module:Class`, the only server of a module, or of a registered name."""
    module, _, name = server.partition(":")
    modules = [m for a in base.applications for m in a.modules]
    if module not in modules:
        module, name = _named(base, modules, server)
    try:
        found = vars(import_module(module))
    except Exception as error:
        raise _wrong(f"module {module!r} of {base} cannot be imported: {in_words(error)}") from error
    servers = {
        k: v for k, v in found.items() if isinstance(v, type) and issubclass(v, GenServer) and v.__module__ == module
    }
    if name in servers or (not name and len(servers) == 1):
        return servers[name] if name else next(iter(servers.values()))
    which = f"no server {name!r}" if name else f"{len(servers)} servers"
    raise _wrong(
        f"module {module!r} of {base} has {which}: say module:Class, of {shortened(sorted(servers)) or 'none'}"
    )


def _named(base: Release, modules: Sequence[str], server: str) -> tuple[str, str]:
    """Return module and class of the processes of that name, as far as child specs are written out."""
    names = [(started.name, module, name) for module, name, started in processes(base, modules) if started.name]
    found = list(dict.fromkeys((module, name) for named, module, name in names if named == server))
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(f"{module}:{name}" for module, name in found)
        raise _wrong(f"{base} has several servers called {server!r}: say module:Class, of {which}")
    called = shortened(sorted({named for named, _, _ in names})) or "none"
    module = server.partition(":")[0]
    there = f"it has {shortened(sorted(modules))}; the names that it gives to processes are {called}"
    raise _wrong(f"{base} has no module {module!r}: {there}")


def _steps(relup: Relup, windows: Sequence[Window], stage: Stage, reference: ClassReference) -> dict[Way, list[Step]]:
    """Return what the plan does with states of the server, there and on the way back. Raises `InvalidInput`."""
    module = reference.module
    undoing = [inverse(window, relup.way_back or ())[0] for window in reversed(windows)]
    found: dict[Way, list[Step]] = {
        "up": [step for window in windows for step in _of(module, window, stage, "goal")],
        "down": [step for window in undoing for step in _of(module, window, stage, "base")],
    }
    if lacking := [way for way, steps in found.items() if not steps]:
        message = f"the appup has no code_change of {module} on the way {' and '.join(lacking)}"
        hint = f"- update: {{module: {module}, change: advanced}}"
        raise InvalidInput([Diagnostic("no_code_change", message, relup.goal.location, hint=hint)])
    return found


def _of(module: str, window: Window, stage: Stage, towards: Side) -> Iterator[Step]:
    limit = limit_of(window, module)
    for change in (*window.before, *window.after):
        vsn = stage.vsn(module, change.mode, towards)
        old_vsn = Down(vsn) if change.mode == "down" else vsn
        yield from (Step(module, old_vsn, part.extra, limit) for part in change.changes if part.module == module)


def _replaced(windows: Sequence[Window], stage: Stage) -> Replaced:
    """Return what belongs to the older release's code; instances that the appup migrates become the newer one's."""
    loads = [code for window in windows for code in window.code if isinstance(code, Load)]
    migrated = [(load.module, each.cls) for load in loads for each in load.instances]
    return Replaced(stage.replaced, migrated, stage.current)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([Diagnostic("no_such_server", message)])
