"""A command needs nothing but what it loads itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import relup.cli

WORK = sorted(file.stem for file in Path(relup.cli.__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize("module", WORK)
def test_what_a_command_does_is_loaded_in_a_new_interpreter(module: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", f"import relup.cli.{module}"], check=True)
