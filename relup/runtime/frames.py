"""Where a task stands, for people: the function and line of a process that does not come to an end."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Iterator
from pathlib import PurePath
from types import FrameType
from typing import Any


def function_of(task: Task[Any], module: str) -> str:
    """Return where *task* stands in *module*: `shop.cart:Cart.handle_call (cart.py:41)`.

    The innermost frame of the module counts; when no frame is in it, the innermost of all; a task that is running
    right now shows what it does now.
    """
    frames = list(_frames(task.get_coro()))
    inside = [f for f in frames if f.f_globals.get("__name__") == module]
    chosen = (inside or frames)[-1:]
    return _describe(chosen[0]) if chosen else "no Python frame"


def stack_of(awaited: Any) -> list[str]:
    """Return where a coroutine that waits stands, innermost first."""
    return [_describe(frame) for frame in _frames(awaited)][::-1]


def _frames(awaited: Any) -> Iterator[FrameType]:
    while awaited is not None:
        frame = next((f for a in ("cr_frame", "gi_frame", "ag_frame") if (f := getattr(awaited, a, None))), None)
        if frame is None:
            return
        yield frame
        awaited = next((n for a in ("cr_await", "gi_yieldfrom", "ag_await") if (n := getattr(awaited, a, None))), None)


def _describe(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__", "?")
    return f"{name}:{frame.f_code.co_qualname} ({PurePath(frame.f_code.co_filename).name}:{frame.f_lineno})"
