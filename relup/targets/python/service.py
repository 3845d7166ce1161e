"""A release brought up as a live node that can be upgraded: code, applications, records, control socket."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, in_words
from relup.document import read_extensions, read_release, read_sources
from relup.model.release import Application, Release
from relup.runtime import Node
from relup.runtime.code import CodeError
from relup.targets.durable import REAL, Disk
from relup.targets.python.applications import make_known
from relup.targets.python.aside import aside, libraries
from relup.targets.python.control import Control
from relup.targets.python.found import Found, look_back
from relup.targets.python.handler import Clocks, ReleaseHandler
from relup.targets.python.home import UNPACKED, Home, base_folder, changed_in_place
from relup.targets.python.watchdog import Watchdog
from relup.targets.records import Installed, Records
from relup.targets.release_files import refuse_unsafe

log = logging.getLogger("relup.node")
ALREADY_LOADED = "already_loaded"
Read: TypeAlias = Callable[[Path, Path], Release]
"""Reads the release at a path; what are wheels there it unpacks below the folder."""


@dataclass(frozen=True, slots=True)
class Service:
    """A node that runs a release and listens."""

    node: Node
    handler: ReleaseHandler
    stopping: asyncio.Future[str]
    """Done, with the reason, when the node should end."""
    note: str | None
    """Why another release was booted than the one that was given."""
    found: str | None
    """What the node before this one left, when it was not simply stopped."""


@asynccontextmanager
async def serve(
    release: str | Path,
    *,
    name: str | None = None,
    base: Path | None = None,
    as_given: bool = False,
    read: Read | None = None,
    disk: Disk = REAL,
    node_class: Callable[[str], Node] = Node,
) -> AsyncIterator[Service]:
    """Run a release folder as a live node inside this event loop, until the block is left.

    *name* is the node's (default: the release's); *base* is where homes are kept (default: `RELUP_HOME` or the
    user's state folder). The release that was confirmed last is booted when *release* is one that this node
    has run before, unless *as_given*. *read* reads a release, and unpacks wheels below a folder (default: in this
    process, which may load what the release brings too); *disk* is how records come to a disk; *node_class* makes the
    node of that name. Raises `InvalidInput` for a folder that is no release, and `Refused` when a node of that name
    runs already, an application does not start, or others can write the release.
    """
    folder = base or base_folder(os.environ)
    read = read or _read
    before = libraries()
    given, home = _given(Path(release), name, folder, read, disk)
    if given.kind != "python":
        message = f"{given} is a release of a BEAM node"
        raise InvalidInput(
            [Diagnostic("different_kinds", message, given.location, hint="its own `bin` folder starts it")]
        )
    async with AsyncExitStack() as stack:
        found = _found(home, stack.enter_context(home.locked()))
        booted, note, records = choose(given, found.records, lambda root: read(root, home.releases), as_given=as_given)
        refuse_unsafe([booted])
        stack.enter_context(aside(libraries() - before))
        node = await stack.enter_async_context(node_class(home.name))
        await _boot(node, booted)
        watchdog = Watchdog(asyncio.get_running_loop())
        watchdog.start()
        stack.callback(watchdog.close)
        clocks = Clocks(asyncio.get_running_loop().time, time.time)
        handler = ReleaseHandler(node, home, booted, records, clocks, watchdog=watchdog)
        handler.begun = found.begun
        stack.callback(handler.close)
        stopping: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        control = Control(handler, home, lambda who: None if stopping.done() else stopping.set_result(who))
        await _listen(home, found.written, records, control)
        stack.push_async_callback(control.close)
        handler.started(f"uid {os.geteuid()}", found.said)
        yield Service(node, handler, stopping, note, found.in_words())


def _read(path: Path, unpack: Path) -> Release:
    return read_release(path, unpack=unpack)


def _found(home: Home, killed: str | None) -> Found:
    try:
        return look_back(home, killed)
    except OSError as error:
        raise Refused([Diagnostic("no_home", f"{error.filename}: {error.strerror}")]) from error


def _given(path: Path, name: str | None, base: Path, read: Read, disk: Disk) -> tuple[Release, Home]:
    """Return the release, unpacked in the home of its node where it was given as wheels, and that home."""
    scratch = base / UNPACKED
    if name is None:
        given = read(path, scratch)
        # what several distributions are called together is no name of a node
        home = Home(base, given.name.replace("+", "-")[:64], disk)
    else:
        home = Home(base, name, disk)
    home.create()
    with home.reading():
        if name is not None or Path(given.root).is_relative_to(scratch.resolve()):
            given = read(path, home.releases)
    return given, home


def choose(
    given: Release, records: Records | None, read: Callable[[Path], Release], *, as_given: bool
) -> tuple[Release, str | None, Records]:
    """Return the release to boot, why it is not the given one, and the record to begin with."""
    booted, note = given, None
    known = not as_given and records is not None and Installed.of(given) in records.installed
    if records and known and records.permanent != Installed.of(given):
        booted = _permanent(records.permanent, given, read)
        note = f"{booted} is the permanent release of this node; start {given} with --as-given"
    current = Installed.of(booted)
    begun = records.running(current) if records else Records.first(current)
    return booted, note, replace(begun, permanent=current)


def _permanent(permanent: Installed, given: Release, read: Callable[[Path], Release]) -> Release:
    try:
        found = read(Path(permanent.root))
    except InvalidInput as error:
        message = f"{permanent} is the permanent release of this node, but {permanent.root} cannot be read: {error}"
        raise Refused([Diagnostic("no_permanent", message, hint=f"start {given} with --as-given")]) from error
    if Installed.of(found) != permanent:
        raise Refused([changed_in_place(permanent.root, str(permanent), str(found))])
    return found


async def _listen(home: Home, written: Records | None, records: Records, control: Control) -> None:
    """Record what runs, and open the control socket.

    A disk that takes nothing keeps nobody from running what a restart would boot again.
    """
    try:
        try:
            if records != written:
                home.write(records)
        except OSError as error:
            if written is None or written.permanent != records.permanent:
                raise
            log.warning("the release record could not be written, and tells of what ran before: %s", error)
        await control.open()
    except OSError as error:
        raise Refused([Diagnostic("no_home", f"{home.path}: {error.strerror or error}")]) from error


async def _start(node: Node, application: Application) -> None:
    """Start an application as its type says: `none` leaves it alone, `load` only makes it known."""
    match application.type:
        case "none":
            pass
        case "load":
            make_known(node, application)
        case type_:
            make_known(node, application)
            await node.applications.start(application.name, type_)


async def _boot(node: Node, release: Release) -> None:
    """Load the release's code and start its applications, in their order."""
    try:
        node.code.boot(read_sources(release) | read_extensions(release))
        for application in release.applications:
            await _start(node, application)
    except CodeError as error:
        hint = "`relup start` runs it in a process of its own, which loads nothing else"
        raise Refused([Diagnostic(ALREADY_LOADED, str(error), hint=hint)]) from error
    except (Exception, SystemExit) as error:
        message = f"{release} does not start: {in_words(error)}"
        raise Refused([Diagnostic("start_failed", message, _place(error, release))]) from error


def _place(error: BaseException, release: Release) -> Location | None:
    """Return the innermost line of the release's own files that *error*, or what caused it, comes from."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(error.filename, error.lineno or 1, error.offset or 1)
    inner = next((e for e in (error.__cause__, getattr(error, "reason", None)) if isinstance(e, BaseException)), None)
    if inner is not None and (found := _place(inner, release)):
        return found
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(release.root)]
    return Location(frames[-1].filename, frames[-1].lineno or 1, 1) if frames else None
