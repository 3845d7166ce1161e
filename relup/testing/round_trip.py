"""Drawn states through the `code_change` of a server, up and down again.

A rehearsal tries the states that there are; this tries those that might be. The code of the older release is loaded and
that of the newer one staged and swapped in, as an upgrade does it, so that `counterpart` and `migrate` mean what they
mean there; but no application is started, and no process runs. What the appup gives as `extra` is given here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from relup.diagnostics import Diagnostic, InvalidInput, RelupError, in_words
from relup.document import read_sources
from relup.model.instructions import CodeChange, ModuleChange
from relup.model.release import Release
from relup.model.windows import Window, inverse, segments
from relup.planner import plan
from relup.runtime import ClassReference, Down, GenServer, Node, Pid, Process
from relup.targets.python.blame import place_of
from relup.targets.python.differing import Then, differences, short
from relup.targets.python.rehearsing import NO_STATES
from relup.targets.python.snapshot import Memory, changed
from relup.targets.python.stage import Stage
from relup.testing.threads import InThread
from relup.testing.ways import locate, read
