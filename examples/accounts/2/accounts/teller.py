"""The accounts whose holders stand in line, first come first served."""

from typing import Any

from accounts import model
from accounts.model import Account
from relup.runtime import Down, GenServer, Reply


class Teller(GenServer):
    def init(self, args: object) -> list[Account]:
        return []

    async def handle_call(self, request: Any, caller: object, line: list[Account]) -> Reply:
        match request:
            case ("enter", holder):
                account = await self.call("ledger", ("open", holder))
                return Reply(len(line) + 1, [*line, account])
            case ("serve", amount):
                account, *rest = line
                return Reply(await self.call("ledger", ("deposit", account.holder, amount)), rest)
        return Reply([account.holder for account in line], line)

    def code_change(self, old_vsn: object, line: list[Any], extra: object) -> list[Any]:
        change = model.down if isinstance(old_vsn, Down) else model.up
        return [change(account) for account in line]
