"""What the tests that ask OTP share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planner.otp_oracle import Oracle, oracle
from tests.support import require_erl


@pytest.fixture(scope="module")
def otp() -> Iterator[Oracle]:
    """The oracle of one module of tests."""
    require_erl()
    with oracle() as found:
        yield found
