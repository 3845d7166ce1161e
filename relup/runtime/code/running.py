"""Whose stack stands in old code: frames of threads, and the chains of what asyncio tasks await."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["frame", "code", "instance"]


@dataclass(frozen=True, slots=True)
class Lingerer:
    """Who still uses old code, and where it stands or is held.

    `kind` is "frame" for what is being executed or awaited, "code" for functions, classes and suspended generators
    that somebody holds, "instance" for objects of old classes.
    """

    who: str
    where: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.who} ({self.where})"


def running(namespaces: Collection[int]) -> Iterator[tuple[int, Lingerer]]:
    """Return the tasks and threads that stand in code whose globals have one of these identities, with that."""
    seen: set[int] = set()
    for task in _tasks():
        for frame in awaited(task.get_coro()):
            seen.add(id(frame))
            if id(frame.f_globals) in namespaces:
                yield id(frame.f_globals), Lingerer(f"task {task.get_name()!r}", place(frame), "frame")
    names = {t.ident: t.name for t in threading.enumerate()}
    for ident, top in sys._current_frames().items():
        for frame in _stack(top):
            if id(frame.f_globals) in namespaces and id(frame) not in seen:
                yield id(frame.f_globals), Lingerer(f"thread {names.get(ident, ident)!r}", place(frame), "frame")


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def place(frame: FrameType) -> str:
    """Return where a frame stands, as file:line."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def awaited(awaitable: Any) -> Iterator[FrameType]:
    """Return the frames of a coroutine and of what it awaits, the outermost first."""
    while awaitable is not None:
        frame, awaitable = suspended(awaitable)
        if frame is not None:
            yield frame


def suspended(awaitable: Any) -> tuple[FrameType | None, Any]:
    """Return the frame of a coroutine or a generator, and what it awaits or yields from; None for what there is not."""
    match awaitable:
        case CoroutineType():
            return awaitable.cr_frame, awaitable.cr_await
        case GeneratorType():
            return awaitable.gi_frame, awaitable.gi_yieldfrom
        case AsyncGeneratorType():
            return awaitable.ag_frame, awaitable.ag_await
        case _:
            return None, None


def _tasks() -> list[asyncio.Task[Any]]:
    """Return the tasks of every loop of the process; asyncio itself tells only those of one loop.

    The sets have other names in 3.12; a set that another thread changes meanwhile is read again.
    """
    found: dict[int, asyncio.Task[Any]] = {}
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
        for _ in range(1000):
            try:
                tasks = list(getattr(asyncio.tasks, name, ()))
            except RuntimeError:
                continue
            found.update({id(t): t for t in tasks if not t.done()})
            break
    return sorted(found.values(), key=lambda t: t.get_name())
