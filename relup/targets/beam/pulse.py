"""The pulse of a controller: a thread that writes to a pipe, for as long as the controller runs and is not stopped.

The lease of an upgrade is kept by it. A bridge that beat by itself would hold the processes of a node for a controller
that somebody suspended (Ctrl-Z, SIGSTOP, a debugger); the event loop would lose the lease while it reads files.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_BEAT = bytes(4)
"""A frame without content (`{packet, 4}`)."""


class Pulse:
    """A thread that beats steadily, once it was told how often."""

    def __init__(self, fd: int) -> None:
        """Beat into the pipe *fd*, which belongs to this object from here on."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._seconds: float | None = None
        self._told = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="relup pulse", daemon=True)
        self._thread.start()

    def every(self, seconds: float | None) -> None:
        """Beat so often from here on, the first time at once; None: no more."""
        self._seconds = seconds
        self._told.set()

    def close(self) -> None:
        """End the thread, and close the pipe."""
        self._ended = True
        self._told.set()
        self._thread.join()
        os.close(self._fd)

    def _run(self) -> None:
        while not self._ended:
            self._told.clear()
            if self._seconds is not None:
                # who does not read is gone, or does not need to be told yet
                with suppress(OSError):
                    os.write(self._fd, _BEAT)
            self._told.wait(self._seconds)
