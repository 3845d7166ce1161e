"""All accounts, by the name of their owner."""

from typing import Any

from accounts.model import Account
from relup.runtime import GenServer, Reply


class Ledger(GenServer):
    def init(self, args: object) -> dict[str, Account]:
        return {}

    def handle_call(self, request: Any, caller: object, accounts: dict[str, Account]) -> Reply:
        match request:
            case ("open", owner):
                accounts[owner] = Account(owner, note="new customer")
            case ("deposit", owner, amount):
                accounts[owner].balance += amount
        return Reply(accounts[request[1]], accounts)
