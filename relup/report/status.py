"""Nodes and their histories as lines of text, from what a node answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from relup.model.shortened import shortened


def status_lines(status: dict[str, Any]) -> Iterator[str]:
    """Describe a live node."""
    release, permanent = status["release"], status["permanent"]
    yield f"{status['node']}: {release['name']} {release['vsn']}, pid {status['pid']}"
    yield f"  release    {release['root']}"
    if status["provisional"]:
        left = status["goes_back_in"]
        when = f"goes back in {left:.0f} s unless confirmed" if left is not None else "until it is confirmed"
        yield f"  permanent  {permanent['name']} {permanent['vsn']}: a restart boots it ({when})"
    else:
        yield "  permanent  yes"
    if len(kept := status["releases"]) > 1:
        words = (f"{r['name']} {r['vsn']} {r['status']}" for r in kept)
        yield f"  releases   {shortened(tuple(words))}"
    yield f"  runs       {', '.join(a['name'] + ' ' + a['vsn'] for a in status['applications']) or 'no application'}"
    if status.get("number"):
        yield f"  number     {status['number']}, of the upgrade that was begun last"
    if status["upgrading"]:
        yield f"  upgrading  now, by {status['upgrading']}"
    if status.get("held_up"):
        yield f"  held up    {status['held_up']}"
    if status["old_code"]:
        yield f"  old code   {shortened(status['old_code'])}"
    if status["drift"]:
        yield f"  drift      files differ from what runs: {shortened(status['drift'])}"
    yield f"  processes  {status['process_count']}"
    for process in status["processes"]:
        yield "    " + _process_line(process)
    if more := status["process_count"] - len(status["processes"]):
        yield f"    and {more} more"


def _process_line(process: dict[str, Any]) -> str:
    marks = [mark for mark in ("suspended", "busy") if process[mark]]
    queue = [f"{process['mailbox']} message(s) wait"] if process["mailbox"] else []
    vsn = f"vsn {str(process['vsn'])[:12]}" if process["vsn"] is not None else ""
    return "  ".join(
        [f"{process['pid']:8} {process['name'] or '-':20} {process['class']}", vsn, *marks, *queue]
    ).rstrip()


def history_lines(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Describe what was done on a node, oldest first, and what of that cannot be read."""
    for entry in entries:
        if entry["what"] == "left_out":
            yield f"{'?' * 19}  {_left_out(entry)}"
            continue
        at = datetime.fromtimestamp(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield f"{at}  {_done(entry)} by {entry['who']}" + (", not on disk yet" if entry.get("unwritten") else "")
        why = (*entry.get("because", ()), *entry.get("found", ()), *((entry["error"],) if "error" in entry else ()))
        yield from (f"                     {line}" for line in why)


def _left_out(entry: dict[str, Any]) -> str:
    """Say what stands in a history where an entry should be."""
    if entry["offset"] is None:
        return f"left out: {entry['why']}"
    return f"left out: {entry['bytes']} bytes from byte {entry['offset']} on ({entry['why']})"


def _done(entry: dict[str, Any]) -> str:
    """Say what was done in an entry, with its number and the plan where it was an upgrade."""
    number = f"number {entry['number']}" if "number" in entry else ""
    if "outcome" not in entry:
        to = f" → {entry['to']}" if "to" in entry else ""
        return f"{entry['what']} {entry['release']}{to}" + (f" ({number})" if number else "")
    path = " → ".join([entry["from"], *entry.get("via", ()), entry["to"]])
    plan = f"plan {entry['plan']}" if "plan" in entry else ""
    windows = [f"{ms:.1f} ms" for ms in entry["windows_ms"]]
    said = ", ".join(filter(None, [number, plan, f"{entry['processes']} process(es)", *windows]))
    return f"{entry['what']} {path}: {entry['outcome']} ({said})"
