"""Tests of what the program does, which know nothing of upgrades.

    pytest examples/accounts/tests --relup-at-every-boundary

runs them again with an upgrade wherever the ledger, or the teller, is about to handle a message.
"""

import asyncio
from pathlib import Path

import pytest

from relup.testing import Nodes

RELEASES = Path(__file__).parents[1]


@pytest.mark.relup(upgrade="../2", server="ledger")
def test_a_deposit_is_on_the_account(relup_node: Nodes) -> None:
    node = relup_node.start(RELEASES / "1")
    node.call("ledger", ("open", "ada"))
    for _ in range(3):
        node.call("ledger", ("deposit", "ada", 5))
    assert node.call("ledger", ("deposit", "ada", 0)).balance == 15


@pytest.mark.relup(upgrade="../2", server="teller")
def test_customers_are_served_in_the_order_in_which_they_came(relup_node: Nodes) -> None:
    async def serve() -> None:
        async with relup_node.running(RELEASES / "1") as node:
            places = await asyncio.gather(*(node.call("teller", ("enter", name)) for name in ("ada", "grace")))
            assert places == [1, 2]
            assert await node.call("teller", ("line",)) == ["ada", "grace"]
            assert (await node.call("teller", ("serve", 7))).balance == 7
            assert await node.call("teller", ("line",)) == ["grace"]

    asyncio.run(serve())  # or `async def test_…`, with a plugin for those
