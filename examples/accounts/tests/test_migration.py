"""Any ledger comes back from release 2, but for the notes, which it drops."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from relup.testing import RoundTripFailed, assert_round_trip

RELEASES = Path(__file__).parents[1]
FEW = settings(max_examples=25, deadline=None)


def ledgers() -> st.SearchStrategy[Any]:
    from accounts.model import Account

    return st.dictionaries(st.text(), st.builds(Account, st.text(), st.integers(), st.text()), max_size=3)


def without_notes(ledger: dict[str, Any]) -> dict[str, Any]:
    return {owner: (account.owner, account.balance) for owner, account in ledger.items()}


def test_a_ledger_comes_back() -> None:
    assert_round_trip(ledgers, RELEASES / "1", RELEASES / "2", "accounts.ledger", lossy=without_notes, settings=FEW)


def test_notes_get_lost() -> None:
    with pytest.raises(RoundTripFailed, match=r"state\[''\].note: '0' → ''"):
        assert_round_trip(ledgers, RELEASES / "1", RELEASES / "2", "ledger", settings=FEW)
