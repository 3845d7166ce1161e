"""A shop in which workers are born and die all the time, and every message is counted."""

from __future__ import annotations

from pathlib import Path

from tests.node.test_windows import appup
from tests.support import write_release

APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from shop.storm import Storm
    from shop.worker import Worker

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            falls = [ChildSpec(f"falls{i}", Worker, f"falls{i}", name=f"falls{i}") for i in range(5)]
            return SupervisorSpec([*falls, ChildSpec("storm", Storm, name="storm")], intensity=10_000_000)
"""
WORKER = """
    from relup.runtime import GenServer, Reply, current_node

    VERSION = {vsn}

    class Worker(GenServer):
        def init(self, kind):
            return {{"vsn": VERSION, "kind": kind, "got": []}}

        def handle_call(self, request, caller, state):
            return Reply((VERSION, state["vsn"], state["kind"], list(state["got"])), state)

        def handle_cast(self, number, state):
            assert state["vsn"] == VERSION, "a state of the other version"
            if number == "fall":
                raise ZeroDivisionError("on purpose")
            state["got"].append(number)
            return state

        def code_change(self, old_vsn, state, extra):
            return {{**state, "vsn": VERSION if extra is None else extra}}
"""
STORM = '''
    """Bears workers in every way there is, and sends each of them numbers; never changed itself."""
    import asyncio
    from relup.runtime import GenServer, Reply, current_node
    from relup.runtime.supervisor import which_children

    KEPT = 10

    class Storm(GenServer):
        trap_exit = True

        def init(self, args):
            node = current_node()
            self.node.send_after(0.001, "storm", "timer")
            storm = {"born": 0, "sent": {}, "stop": False, "tasks": []}
            storm["tasks"] += [node.spawn(bear(node, storm, kind)) for kind in ("task", "other task")]
            storm["tasks"].append(node.spawn(let_fall(node, storm)))
            return storm

        async def handle_info(self, message, storm):
            from shop.worker import Worker
            if message != "timer" or storm["stop"]:
                return storm
            for kind in ("linked", "unlinked"):
                start = self.node.start_link if kind == "linked" else self.node.start
                pid = await start(Worker, kind)
                keep(self.node, storm, kind, pid)
            self.node.send_after(0, "storm", "timer")
            return storm

        async def handle_call(self, request, caller, storm):
            if request == "stop":
                storm["stop"] = True
                await asyncio.gather(*storm["tasks"])
                return Reply(None, storm)
            sent = {kind: [(pid, list(numbers)) for pid, numbers in kept] for kind, kept in storm["sent"].items()}
            return Reply((storm["born"], sent), storm)

    def keep(node, storm, kind, pid):
        """Send numbers to the newest of its kind, in the same order to all, and end the oldest."""
        storm["born"] += 1
        kept = storm["sent"].setdefault(kind, [])
        kept.append((pid, []))
        for other, numbers in kept:
            numbers.append(len(numbers))
            node.cast(other, numbers[-1])
        if len(kept) > KEPT:
            node.exit(kept.pop(0)[0], "kill")

    async def bear(node, storm, kind):
        while not storm["stop"]:
            from shop.worker import Worker
            keep(node, storm, kind, await node.start(Worker, kind))
            await asyncio.sleep(0)

    async def let_fall(node, storm):
        number = 0
        while not storm["stop"]:
            node.cast(f"falls{number % 5}", "fall")
            number += 1
            await asyncio.sleep(0.001)
'''
UPDATE = "\n      - update: {module: shop.worker, change: %s}"
APPUP = appup(UPDATE % "advanced", UPDATE % "{advanced: 1}")


def storm(folder: Path, vsn: str) -> Path:
    modules = {"app": APP, "worker": WORKER.format(vsn=vsn), "storm": STORM}
    return write_release(folder, vsn, modules, APPUP if vsn == "2" else None)
