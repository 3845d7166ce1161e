"""Instructions that need running processes: `apply`, and `stop` and `start` of a module's processes.

OTP's own modules are known by OTP's names, so an appup reads the same for both kinds of node:
`apply: {module: supervisor, function: restart_child, args: [shop_sup, cart]}`.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias, assert_never

from relup.diagnostics import Diagnostic, in_words
from relup.executor import EffectFailed, Side, taking_back
from relup.model.instructions import Apply, Call, RestartEmulator, RestartNewEmulator, Start, Stop, SyncNodes
from relup.model.inverses import natural_inverse
from relup.model.naming import describe
from relup.model.relup import Relup
from relup.model.windows import Cut
from relup.runtime import Node, Pid, supervisor
from relup.runtime.context import deleted_variable, inside
from relup.runtime.messages import BIRTH
from relup.runtime.registry import Server
from relup.runtime.shutdown import miscarried
from relup.targets.python.applications import make_known
from relup.targets.python.threads import is_cancelled
from relup.targets.python.watchdog import Overrun

OTP_MODULES = {"application": "relup.runtime.application", "supervisor": "relup.runtime.supervisor"}


Place: TypeAlias = tuple[Pid, Any]
"""A supervisor, and the id of one of its children."""


def function_of(call: Call) -> Any:
    """Return what is called, of the code that is current."""
    function: Any = importlib.import_module(OTP_MODULES.get(call.module, call.module))
    for name in call.function.split("."):
        function = getattr(function, name)
    return function


async def called(call: Call) -> Any:
    """Call a function, and return what it returns, awaited if need be."""
    result = function_of(call)(*call.args)
    return await result if isawaitable(result) else result


class Calls:
    """The calls of one upgrade on one node."""

    def __init__(self, node: Node, relup: Relup) -> None:
        """Make calls of *relup* in *node*."""
        self._node = node
        self._relup = relup
        self._stopped: dict[tuple[str, ...], list[Place]] = {}
        self._deleted: dict[tuple[Server, Any], Any] = {}

    async def make(self, cut: Cut, towards: Side) -> None:
        """Carry out *cut*, wholly or not at all. Raises `EffectFailed` when the function raises."""
        token = deleted_variable.set(self._deleted)
        try:
            with inside(self._node), self._node.births.exempt():
                await self._make(cut, towards)
        except BaseException as error:
            if is_cancelled() or isinstance(error, Overrun):
                raise
            message = f"{describe(cut)} failed: {in_words(error)}"
            raise EffectFailed(Diagnostic("call_failed", message, cut.location)) from error
        finally:
            deleted_variable.reset(token)

    async def _make(self, cut: Cut, towards: Side) -> None:
        match cut:
            case Apply(call):
                await self._apply(call, towards)
            case Stop(modules):
                await self._stop(modules)
            case Start(modules):
                await self._start(modules)
            case SyncNodes() | RestartNewEmulator() | RestartEmulator():
                raise NotImplementedError(f"a Python node cannot {describe(cut)}")
            case _:
                assert_never(cut)

    async def take_back(self, cut: Cut, towards: Side) -> None:
        """Undo what `make` did. Raises `EffectFailed` when nothing is known to, or when that fails."""
        await self.make(taking_back(cut), "base" if towards == "goal" else "goal")

    async def give_up(self, cut: Cut, towards: Side) -> None:
        """Take back what a supervisor does all the same when nobody waits for it any more.

        A child that does not come to the end of its `init` is ended: its supervisor hears nobody before.
        """
        if isinstance(cut, Apply) and cut.call.module == "supervisor" and natural_inverse(cut.call):
            above = cut.call.args[0]
            for process in [p for p in self._node.processes.values() if p.current is BIRTH and p.parent]:
                if process.parent and above in (process.parent.name, process.parent.pid):
                    await miscarried(process)
            await self.take_back(cut, towards)

    async def _apply(self, call: Call, towards: Side) -> None:
        """Call a function; an application that is started or loaded is made known first, as that release has it."""
        forget = self._make_known(call, towards)
        try:
            if (call.module, call.function) != ("application", "load"):
                await called(call)
        except BaseException:
            forget()
            raise

    def _make_known(self, call: Call, towards: Side) -> Callable[[], None]:
        """Tell the node what an application of that release is before it is started; return what takes that back."""
        if call.module == "application" and call.function in ("start", "load"):
            release = self._relup.goal if towards == "goal" else self._relup.base
            if application := release.application(call.args[0]):
                return make_known(self._node, application)
        return lambda: None

    async def _stop(self, modules: Sequence[str]) -> None:
        """End the processes of *modules* through their supervisors, and remember which they were."""
        children = [(parent, child) for m in modules for parent, child in await self._children(m)]
        stopped: list[Place] = []
        try:
            for parent, child in children:
                await supervisor.terminate_child(parent, child)
                stopped.append((parent, child))
        except BaseException:
            await self._each(supervisor.restart_child, reversed(stopped))
            raise
        self._stopped[tuple(modules)] = stopped

    async def _start(self, modules: Sequence[str]) -> None:
        """Start again what `_stop` of the same modules ended."""
        started: list[Place] = []
        try:
            for parent, child in self._stopped.get(tuple(modules), []):
                await supervisor.restart_child(parent, child)
                started.append((parent, child))
        except BaseException:
            await self._each(supervisor.terminate_child, reversed(started))
            raise

    async def _each(self, action: Callable[[Pid, Any], Awaitable[Any]], places: Iterable[Place]) -> None:
        for parent, child in places:
            await action(parent, child)

    async def _children(self, module: str) -> list[Place]:
        """Return where the processes of *module* are supervised. Raises `LookupError` for one that is not."""
        found: dict[Pid, Place] = {}
        for parent in [p.pid for p in self._node.processes.values() if p.supervisor]:
            for child in await supervisor.which_children(parent):
                if isinstance(child.child, Pid):
                    found[child.child] = parent, child.id
        users = [p for p in self._node.processes.values() if module in p.modules]
        if alone := [p.label for p in users if p.pid not in found]:
            raise LookupError(f"{', '.join(alone)} cannot be stopped and started: no supervisor has it as a child")
        return [found[p.pid] for p in users]
