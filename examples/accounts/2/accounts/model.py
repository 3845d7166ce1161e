"""What an account is. `owner` is now `holder`, `currency` is new, and `note` is gone."""

from dataclasses import dataclass

from relup.runtime import counterpart, migrate


@dataclass
class Account:
    holder: str
    balance: int = 0
    currency: str = "EUR"


def up(old: object) -> Account:
    """Return an account of release 1 as one of this release."""
    return migrate(old, Account, holder=old.owner)


def down(account: Account) -> object:
    """Return an account of this release as one of release 1."""
    return migrate(account, counterpart(Account), owner=account.holder)
