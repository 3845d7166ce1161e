"""Planning without the garbage collector.

A plan is made of hundreds of thousands of small values, all of which are needed to the end, and none of which
is circular. The collector looks through all of them again and again, the more often the larger the script is: a
fifth of the time at 100,000 instructions, and more than the script has grown.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def uncollected(work: Callable[P, T]) -> Callable[P, T]:
    """Let *work* run while the collector rests; it is as it was afterwards."""

    @wraps(work)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> T:
        if not gc.isenabled():
            return work(*args, **kwargs)
        gc.disable()
        try:
            return work(*args, **kwargs)
        finally:
            gc.enable()

    return quiet
