"""A program to be tested by others: a server that adds up, in two releases, and tests of what it does."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tests.support import write_release

__all__ = ["dedent"]

APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from {name}.tally import Tally

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            children = [ChildSpec(name, Tally, name=name) for name in ("tally", "other")]
            return SupervisorSpec(children)
"""
OLD = """
    from relup.runtime import GenServer, Reply

    class Tally(GenServer):
        counted = []

        def init(self, args):
            return {"total": 0}

        def handle_call(self, request, caller, state):
            match request:
                case ("add", n):
                    state = {**state, "total": state["total"] + n}
                case ("ask", server):
                    self.cast(server, "double")
            return Reply(state["total"], state)

        def handle_cast(self, message, state):
            if message == "count":
                self.counted.append(1)
                return state
            return {**state, "total": 2 * state["total"]}

        def handle_info(self, message, state):
            return {**state, "told": message}
"""
CHANGE = """
        def code_change(self, old_vsn, state, extra):
            if isinstance(old_vsn, Down):
                return {key: value for key, value in state.items() if key != "by"}
            return {**state, "by": 1}
"""
NEW = OLD.replace("import GenServer", "import Down, GenServer") + CHANGE
WRONG_AT_3 = NEW.replace(
    '{**state, "by": 1}', '{**state, "by": 1, "total": state["total"] if state["total"] != 3 else 4}'
)
RAISES_AT_2 = NEW.replace(
    '            return {**state, "by"', '            1 / (state["total"] - 2)\n            return {**state, "by"'
)
APPUP = """
    application: {name}
    vsn: "2"
    up:
      - from: "1"
        instructions:
          - update: {{module: {name}.tally, change: advanced}}
    down:
      - to: "1"
        instructions:
          - update: {{module: {name}.tally, change: advanced}}
"""


def old(folder: Path, name: str = "shop", change: str = "") -> Path:
    """Write release 1; with *change* at the end of its server."""
    return write_release(folder, "1", {"app": APP.format(name=name), "tally": f"{OLD}\n    {change}\n"}, name=name)


def new(folder: Path, tally: str = NEW, appup: str = APPUP, name: str = "shop") -> Path:
    """Write release 2, whose server is *tally*."""
    modules = {"app": APP.format(name=name), "tally": tally}
    return write_release(folder, "2", modules, appup.format(name=name), name=name)
