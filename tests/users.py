"""Work done as another user, for tests of what others may not do; only root can become somebody else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import lacking

OTHER, ANOTHER = 65_534, 65_533
"""Users that own nothing."""


def require_root() -> None:
    """Skip the test for who cannot become another user; a CI runs as root, or fails."""
    if os.geteuid() != 0:
        lacking("only root can show what another user may not do")


def as_user(uid: int, work: Callable[[], str]) -> str:
    """Return what *work* says in a process of user *uid*, or the name of what it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return said


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that everybody can reach, as those of a test runner are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
