"""What an account is."""

from dataclasses import dataclass


@dataclass
class Account:
    owner: str
    balance: int = 0
    note: str = ""
