"""A release: which versions of which applications run together, and where their files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.model.appup import Appup
from relup.model.code import Code, NoCode
from relup.model.instructions import ApplicationType

NodeKind: TypeAlias = Literal["python", "beam"]


@dataclass(frozen=True, slots=True)
class Application:
    """One application of a release (OTP's `.app` file and its line in the `.rel` file)."""

    name: str
    vsn: str
    modules: tuple[str, ...] = ()
    """Every module that belongs to it: sorted, or in the order of its `.app` file, in which OTP takes them."""
    start: str | None = None
    """`package.module:Class` of its Application callback; None for a library."""
    args: Any = field(default=None, hash=False)
    """What the callback's `start` is given."""
    type: ApplicationType = "permanent"
    applications: tuple[str, ...] = ()
    """The applications that must run before it."""
    fingerprints: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of each module whose file is there, in hex: SHA-256 of Python's source, MD5 as `beam_lib:md5/1` has it."""
    extensions: Mapping[str, str] = field(default_factory=dict, hash=False)
    """SHA-256 of each C extension, by the name under which it is imported (Python only); they are no `modules`."""
    appup: Appup | None = field(default=None, hash=False)
    location: Location | None = field(default=None, compare=False, repr=False)
    faults: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    """What is wrong with its appup (BEAM only), which stops nobody who does not need it; a plan does not carry it."""
    missing: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    """Which of its modules have no file (BEAM only): that stops only who loads it. A plan does not carry it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as its folder describes it."""

    name: str
    vsn: str
    applications: tuple[Application, ...] = ()
    """In the order in which they start."""
    root: str = ""
    """The folder, absolute."""
    kind: NodeKind = "python"
    erts: str | None = None
    """The version of the emulator (BEAM only)."""
    location: Location | None = field(default=None, compare=False, repr=False)
    given: str = field(default="", compare=False, repr=False)
    """What it was read from, where that is not the root: a wheel, a folder of wheels, a source tree."""
    written: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The applications in the order of the `.rel` file (BEAM only), for the planner; a plan does not carry it."""
    code: Code = field(default=NoCode(), compare=False, repr=False)
    """What its modules say, read from their files when it is asked for; a plan does not carry it."""

    def not_in(self, other: Release) -> Iterator[Application]:
        """Yield the applications that *other* has not, or has in another version."""
        there = {a.name: a.vsn for a in other.applications}
        yield from (a for a in self.applications if there.get(a.name) != a.vsn)

    def application(self, name: str) -> Application | None:
        """Return the application of that name, or None."""
        return next((a for a in self.applications if a.name == name), None)

    def as_written(self) -> tuple[Application, ...]:
        """Return the applications in the order in which its file lists them, where that is known."""
        place = {name: n for n, name in enumerate(self.written)}
        return tuple(sorted(self.applications, key=lambda a: place.get(a.name, len(place))))

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of every module of every application."""
        return {m: f for a in self.applications for m, f in a.fingerprints.items()}

    def extensions(self) -> dict[str, str]:
        """Return the digest of every C extension of every application."""
        return {m: d for a in self.applications for m, d in a.extensions.items()}

    def __str__(self) -> str:
        return f"{self.name} {self.vsn}"
