"""Fixtures for every test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.beam.nodes import Beam, private_epmd
from tests.support import Commands, require_erl


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """relup commands whose nodes live in this test's folder."""
    return Commands(tmp_path / "home")


@pytest.fixture(scope="session")
def epmd() -> Iterator[int]:
    """The port of a port mapper that this worker's BEAM nodes have for themselves."""
    require_erl()
    with private_epmd() as port:
        yield port


@pytest.fixture
def beam(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, epmd: int, monkeypatch: pytest.MonkeyPatch) -> Beam:
    """The example releases for BEAM, and nodes of them; every Erlang that the test starts finds those nodes."""
    monkeypatch.setenv("ERL_EPMD_PORT", str(epmd))
    own = tmp_path_factory.getbasetemp()
    return Beam(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own, tmp_path)


def pytest_runtest_setup() -> None:
    """Leave what the test runner keeps out of the heap that tests look at: it grows with every test.

    The code server looks through the whole heap for holders of old code, and so does each collection.
    """
    gc.freeze()
