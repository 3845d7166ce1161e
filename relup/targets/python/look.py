"""Looking into a live node: its status as data, and expressions evaluated inside it."""

from __future__ import annotations

import ast
import asyncio
import os
from dataclasses import asdict
from hashlib import sha256
from inspect import isawaitable
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, Refused, in_words
from relup.document import read_extensions, source_path
from relup.model.release import Release
from relup.model.shortened import shortened
from relup.runtime import Node, Process
from relup.runtime.context import inside
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.threads import is_cancelled

LISTED = 1000
"""How many processes a status names one by one; all are counted."""


async def status(handler: ReleaseHandler) -> dict[str, Any]:
    """Return what runs: releases, processes, versions, and where files differ from the code that runs."""
    found = standing(handler)
    return {**found, "drift": await asyncio.to_thread(_drift, handler.node, handler.running)}


def standing(handler: ReleaseHandler) -> dict[str, Any]:
    """Return what runs, from any thread: all but what has to be read in files."""
    node, records = handler.node, handler.records
    deadline = handler.deadline
    processes = list(node.processes.values())
    return {
        "node": node.name,
        "pid": os.getpid(),
        "release": {"name": handler.running.name, "vsn": handler.running.vsn, "root": handler.running.root},
        "permanent": {"name": records.permanent.name, "vsn": records.permanent.vsn, "root": records.permanent.root},
        "provisional": records.provisional,
        "upgrading": handler.owner,
        "number": handler.number,
        "goes_back_in": max(0.0, deadline.at - node.loop.time()) if deadline else None,
        "releases": [asdict(kept) | {"status": status} for kept, status in records.statuses()],
        "applications": [{"name": a.name, "vsn": a.vsn} for a in handler.running.applications],
        "process_count": len(processes),
        "processes": [_process(node, p) for p in processes[:LISTED]],
        "old_code": sorted(node.code.old),
        "held_up": None,
    }


async def releases(handler: ReleaseHandler) -> dict[str, Any]:
    """Return what a client needs to plan: the records, the versions that run, and where files differ from them."""
    versions = {a.name: a.vsn for a in handler.running.applications}
    drift = await asyncio.to_thread(_drift, handler.node, handler.running)
    return {**asdict(handler.records), "number": handler.number, "applications": versions, "drift": drift}


async def check_bootable(handler: ReleaseHandler) -> None:
    """Raise `Refused` when a restart could not boot what runs: its files are gone, or others."""
    running = None
    while running is not handler.running:  # what went back while its files were read is compared with others
        running = handler.running
        drift = await asyncio.to_thread(_drift, handler.node, running)
        handler.refuse_busy()
    if drift:
        message = (
            f"{handler.running} cannot be made permanent: in {handler.running.root} the files of {shortened(drift)}"
            " are gone or are not what runs, so a restart would not boot it"
        )
        raise Refused([Diagnostic("release_changed_in_place", message, hint="put the files back, then confirm")])


def _process(node: Node, process: Process) -> dict[str, Any]:
    reference = process.reference
    return {
        "pid": str(process.pid),
        "name": process.name,
        "class": f"{reference.module}:{reference.qualname}",
        "vsn": node.code.vsn(reference.module),
        "mailbox": len(process.mailbox),
        "suspended": process.suspended,
        "busy": process.busy,
    }


def _drift(node: Node, release: Release) -> list[str]:
    """Return the modules, and the C extensions, whose file is no longer what runs."""
    root = Path(release.root)
    extensions = read_extensions(release)
    return [
        *(m for m, digest in sorted(release.extensions().items()) if _digest(extensions.get(m)) not in (None, digest)),
        *_modules_drifted(node, release, root),
    ]


def _modules_drifted(node: Node, release: Release, root: Path) -> list[str]:
    return [
        module
        for application in release.applications
        for module in application.modules
        if (loaded := node.code.digest(module)) is not None and loaded != _digest(source_path(root, module))
    ]


def _digest(path: Path | None) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest() if path else None
    except OSError:
        return None


def new_namespace(node: Node) -> dict[str, Any]:
    """Return the names that a remote session begins with."""
    return {"__name__": "__remote__", "node": node}


async def evaluate(source: str, node: Node, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run *source* in the node; return the value of its last expression and what it printed.

    An awaitable is awaited. Raises `InvalidInput` with the error that the source raised: nothing of relup is
    undone or guarded here, this is a look into the live node.
    """
    printed: list[str] = []

    def collect(*values: object, sep: str = " ", end: str = "\n", **_: object) -> None:
        printed.append(sep.join(map(str, values)) + end)

    namespace["print"] = collect
    try:
        with inside(node):
            value = await _run(source, namespace)
            shown = None if value is None else repr(value)
    except BaseException as error:
        if is_cancelled():
            raise
        raise InvalidInput([Diagnostic("rpc_failed", in_words(error))]) from error
    return {"value": shown, "output": "".join(printed)}


async def _run(source: str, namespace: dict[str, Any]) -> Any:
    tree = ast.parse(source, "<remote>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if tree.body:
        result = eval(compile(tree, "<remote>", "exec", flags), namespace)
        if isawaitable(result):
            await result
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    value = eval(compile(ast.Expression(last.value), "<remote>", "eval", flags), namespace)
    return await value if isawaitable(value) else value
