"""All accounts, by the name of their holder."""

from typing import Any

from accounts import model
from accounts.model import Account
from relup.runtime import Down, GenServer, Reply


class Ledger(GenServer):
    def init(self, args: object) -> dict[str, Account]:
        return {}

    def handle_call(self, request: Any, caller: object, accounts: dict[str, Account]) -> Reply:
        match request:
            case ("open", holder):
                accounts[holder] = Account(holder)
            case ("deposit", holder, amount):
                accounts[holder].balance += amount
        return Reply(accounts[request[1]], accounts)

    def code_change(self, old_vsn: object, accounts: dict[str, Any], extra: object) -> dict[str, Any]:
        change = model.down if isinstance(old_vsn, Down) else model.up
        return {name: change(account) for name, account in accounts.items()}
