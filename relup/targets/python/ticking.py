"""A timer of the kernel that sends a signal to one thread, again and again.

A thread of Python cannot interrupt code that keeps the interpreter's lock, such as a regular expression that tries
everything: it does not get to run itself. The kernel can. The timer of `signal.setitimer` belongs to the program, as
do the signals that have names; this one has a timer of its own, and a real-time signal (timer_create(2), Linux).
"""

from __future__ import annotations

import ctypes
import signal
import threading

NUMBER: int = getattr(signal, "SIGRTMAX", 1) - 1
"""The signal; 0 where there are no real-time signals."""
_MONOTONIC = 1
_THREAD_ID = 4


class _Event(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_char * 64),
    )


class _Times(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class Ticking:
    """A timer for the thread that makes it."""

    def __init__(self, libc: ctypes.PyDLL, timer: ctypes.c_void_p) -> None:
        self._libc = libc
        self._timer = timer

    def every(self, seconds: float) -> None:
        """Tick from now on; never when it is 0."""
        ns = round(seconds * 1e9)
        times = _Times(*divmod(ns, 10**9), *divmod(ns, 10**9))
        self._libc.timer_settime(self._timer, 0, ctypes.byref(times), None)

    def close(self) -> None:
        """Take it away."""
        self._libc.timer_delete(self._timer)


def ticking() -> Ticking | None:
    """Return a timer for this thread, None where there is no such thing."""
    if not NUMBER:
        return None
    libc, timer = ctypes.PyDLL(None), ctypes.c_void_p()
    event = _Event(None, NUMBER, _THREAD_ID, threading.get_native_id())
    try:
        made = libc.timer_create(_MONOTONIC, ctypes.byref(event), ctypes.byref(timer))
    except AttributeError:
        return None
    return Ticking(libc, timer) if made == 0 else None
