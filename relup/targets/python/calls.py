"""Instructions that need running processes: `apply`, and `stop` and `start` of a module's processes.

OTP's own modules are known by OTP's names, so an appup reads the same for both kinds of node:
`apply: {module: supervisor, function: restart_child, args: [shop_sup, cart]}`.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, assert_never

from relup.diagnostics import Diagnostic
from relup.executor import EffectFailed, Side
from relup.model.instructions import Apply, Call, RestartEmulator, RestartNewEmulator, Start, Stop, SyncNodes
from relup.model.inverses import inverse_of
from relup.model.naming import describe
from relup.model.relup import Relup
from relup.model.windows import Cut
from relup.runtime import Node, Pid, supervisor
from relup.runtime.context import inside
from relup.targets.python.applications import make_known

OTP_MODULES = {"application": "relup.runtime.application", "supervisor": "relup.runtime.supervisor"}


class Calls:
    """The calls of one upgrade on one node."""

    def __init__(self, node: Node, relup: Relup) -> None:
        """Make calls of *relup* in *node*."""
        self._node = node
        self._relup = relup
        self._stopped: dict[str, list[tuple[Pid, Any]]] = {}

    async def make(self, cut: Cut, towards: Side) -> None:
        """Carry out *cut*. Raises `EffectFailed` when the function raises."""
        try:
            with inside(self._node), self._node.births.exempt():
                await self._make(cut, towards)
        except (Exception, SystemExit) as error:
            message = f"{describe(cut)} failed: {type(error).__name__}: {error}"
            raise EffectFailed(Diagnostic("call_failed", message, cut.location)) from error

    async def _make(self, cut: Cut, towards: Side) -> None:
        match cut:
            case Apply(call):
                self._make_known(call, towards)
                await self._call(call)
            case Stop(modules):
                for module in modules:
                    await self._stop(module)
            case Start(modules):
                for module in modules:
                    await self._start(module)
            case SyncNodes() | RestartNewEmulator() | RestartEmulator():
                raise NotImplementedError(f"a Python node cannot {describe(cut)}")
            case _:
                assert_never(cut)

    def taking_back(self, cut: Apply) -> Callable[[], Awaitable[None]]:
        """Return what takes a call made inside a window back."""

        async def take_back() -> None:
            back = inverse_of(cut)
            if back is None:
                raise LookupError(f"{describe(cut)} is not undone: it has no undo")
            await self.make(back, "base")

        return take_back

    async def _call(self, call: Call) -> None:
        module = importlib.import_module(OTP_MODULES.get(call.module, call.module))
        function: Any = module
        for name in call.function.split("."):
            function = getattr(function, name)
        result = function(*call.args)
        if isawaitable(result):
            await result

    def _make_known(self, call: Call, towards: Side) -> None:
        """Tell the node what an application of that release is, before it is started or loaded."""
        if call.module != "application" or call.function not in ("start", "load"):
            return
        release = self._relup.goal if towards == "goal" else self._relup.base
        if application := release.application(call.args[0]):
            make_known(self._node, application)

    async def _stop(self, module: str) -> None:
        """End the processes of *module* through their supervisors, and remember which they were."""
        supervisors = [p.pid for p in self._node.processes.values() if p.supervisor]
        children = [
            (parent, child.id)
            for parent in supervisors
            for child in await supervisor.which_children(parent)
            if child.child is not None and module in child.modules
        ]
        self._stopped[module] = children
        for parent, child_id in children:
            await supervisor.terminate_child(parent, child_id)

    async def _start(self, module: str) -> None:
        for parent, child_id in self._stopped.pop(module, []):
            await supervisor.restart_child(parent, child_id)
