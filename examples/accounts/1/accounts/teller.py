"""The accounts whose owners stand in line, first come first served."""

from typing import Any

from accounts.model import Account
from relup.runtime import GenServer, Reply


class Teller(GenServer):
    def init(self, args: object) -> list[Account]:
        return []

    async def handle_call(self, request: Any, caller: object, line: list[Account]) -> Reply:
        match request:
            case ("enter", owner):
                account = await self.call("ledger", ("open", owner))
                return Reply(len(line) + 1, [*line, account])
            case ("serve", amount):
                account, *rest = line
                return Reply(await self.call("ledger", ("deposit", account.owner, amount)), rest)
        return Reply([account.owner for account in line], line)
