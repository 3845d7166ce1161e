"""The application: one supervisor over one counter."""

from anemone.counter import Counter
from relup.runtime import Application, ChildSpec, Pid, Supervisor, SupervisorSpec


class Anemone(Application):
    async def start(self, args: object) -> Pid:
        return await self.node.start_link(Top, args, name="anemone_sup")


class Top(Supervisor):
    def init(self, args: object) -> SupervisorSpec:
        return SupervisorSpec([ChildSpec("counter", Counter, name="counter")])
