"""What the tests that ask OTP share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.planner.otp_oracle import Oracle, oracle


@pytest.fixture(scope="module")
def otp() -> Iterator[Oracle]:
    """The oracle of one module of tests."""
    if shutil.which("erl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no `erl` here, and a CI that does not ask OTP proves nothing")
        pytest.skip("no `erl` to ask: apt install erlang-base erlang-sasl, or brew install erlang")
    with oracle() as found:
        yield found
