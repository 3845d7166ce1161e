"""One running release for each test, gone after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.code.releases import Running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    before = set(sys.modules)
    yield running
    running.code.close()
    left = [n for n in sys.modules if n not in before and n.partition(".")[0] in ("shop", "desk", "ns", "plug")]
    for name in left:
        del sys.modules[name]
    sys.path_importer_cache.clear()
