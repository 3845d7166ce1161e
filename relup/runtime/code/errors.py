"""What the code server refuses, and why; it imports nothing of relup, so these are plain exceptions."""

from __future__ import annotations

from collections.abc import Iterable


class CodeError(Exception):
    """Base of what the code server raises on purpose."""


class AlreadyLoaded(CodeError):
    """Names of the release are taken: loaded by somebody else already, or owned by another node of this process."""


class StagingError(CodeError):
    """A new version cannot run here; nothing of it is visible and everything it did is undone.

    `module` and `line` say where (the line counts in the file of the release, 0 when there is none), `message` why,
    `path` the file, and `traceback` is the text of the traceback when a body raised.
    """

    def __init__(self, module: str, line: int, message: str, *, path: str = "", traceback: str = "") -> None:
        self.module = module
        self.line = line
        self.message = message
        self.path = path
        self.traceback = traceback
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{place}{module}: {message}")


class NotPurged(CodeError):
    """Old code of these modules is still there: only two versions can be at a time (OTP's `not_purged`)."""

    def __init__(self, modules: Iterable[str]) -> None:
        self.modules = tuple(sorted(modules))
        super().__init__(f"not_purged: old code of {', '.join(self.modules)} is still there; purge it first")


class SwapError(CodeError):
    """A swap or its undo was refused before anything was written."""
