"""An upgrade of accounts, there, back, and where it cannot succeed."""

from pathlib import Path
from typing import Any

import pytest

from relup.testing import Nodes, UpgradeFailed

RELEASES = Path(__file__).parents[1]


def test_customers_keep_their_balance_on_the_way_up_and_down(relup_node: Nodes) -> None:
    node = relup_node.start(RELEASES / "1")
    node.call("teller", ("enter", "ada"))
    node.call("ledger", ("deposit", "ada", 5))

    node.upgrade(RELEASES / "2")
    assert node.vsn == "2"
    account = node.state("ledger")["ada"]
    assert (account.holder, account.balance, account.currency) == ("ada", 5, "EUR")
    assert node.call("teller", ("serve", 7)).balance == 12

    node.downgrade()
    account = node.state("ledger")["ada"]
    assert (account.owner, account.balance) == ("ada", 12)


def test_an_account_that_cannot_be_migrated_keeps_everybody_at_release_1(relup_node: Nodes) -> None:
    with relup_node.start(RELEASES / "1") as node:
        node.call("ledger", ("open", "ada"))
        node.run(spoil(node.node))
        before = node.states()
        outcome = node.upgrade(RELEASES / "2", expect="rolled_back")
        assert "accounts.ledger" in outcome.diagnostics[0].message
        assert (node.vsn, node.states()) == ("1", before)
        with pytest.raises(UpgradeFailed, match="expected 'done', ended 'rolled back'"):
            node.upgrade(RELEASES / "2")


async def spoil(node: Any) -> None:
    """Put something into the ledger that is no account."""
    from relup.runtime import sys

    await sys.replace_state("ledger", lambda accounts: {**accounts, "eve": None}, node=node)
