"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """relup commands whose nodes live in this test's folder."""
    return Commands(tmp_path / "home")
