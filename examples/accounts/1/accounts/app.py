"""The application: a ledger of all accounts, and a teller who serves some of them."""

from accounts.ledger import Ledger
from accounts.teller import Teller
from relup.runtime import Application, ChildSpec, Pid, Supervisor, SupervisorSpec


class Accounts(Application):
    async def start(self, args: object) -> Pid:
        return await self.node.start_link(Top, args, name="accounts_sup")


class Top(Supervisor):
    def init(self, args: object) -> SupervisorSpec:
        children = [ChildSpec("ledger", Ledger, name="ledger"), ChildSpec("teller", Teller, name="teller")]
        return SupervisorSpec(children, strategy="rest_for_one")
