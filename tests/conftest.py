"""Fixtures for every test."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.support import Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """relup commands whose nodes live in this test's folder."""
    return Commands(tmp_path / "home")


def pytest_runtest_setup() -> None:
    """Leave what the test runner keeps out of the heap that tests look at: it grows with every test.

    The code server looks through the whole heap for holders of old code, and so does each collection.
    """
    gc.freeze()
