"""A copy of a state, to be compared with what the state becomes.

A server may change its state in place, so what a test looked at would change with it, and `before == after` would say
nothing. In Erlang whoever asks for a state gets a copy. Python's `deepcopy` fails at the first socket, and takes
everything apart that the socket leads to. So this one goes into containers, dataclasses and instances of the release's
classes; of what else there is it copies what can be pickled, for that says of itself that it is data, and takes over
the rest as it is.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import is_dataclass
from types import SimpleNamespace
from typing import Any

from relup.targets.python.reach import ATOMS, parts

CONTAINERS: frozenset[type] = frozenset(
    {dict, OrderedDict, defaultdict, Counter, list, deque, set, tuple, frozenset, SimpleNamespace, UserDict, UserList}
)
_LIVING = (type, asyncio.BaseProtocol, asyncio.Future, threading.Thread)
"""Kinds whose instances have a life of their own, whoever defined their class."""
Owned = Callable[[type], bool]
"""Says whether a class is defined by the release."""


def is_data(kind: type, owned: Owned) -> bool:
    """Say whether what an instance consists of is part of the state that holds it."""
    return (kind in CONTAINERS or is_dataclass(kind) or owned(kind)) and not issubclass(kind, _LIVING)


def pickled(value: Any) -> bytes | None:
    """Return what a value says that it consists of; None when it does not."""
    try:
        return pickle.dumps(value)
    except Exception:  # of any kind: it is the value's own code that says no
        return None


def copied(state: Any, owned: Owned) -> Any:
    """Return a copy of *state* in which what lives, and cannot be copied, is the same."""
    memo: dict[int, Any] = {}
    pending, seen = [state], dict[int, Any]()
    while pending:
        value = pending.pop()
        if id(value) in seen or type(value) in ATOMS:
            continue
        seen[id(value)] = value
        if is_data(type(value), owned):
            pending += [part for _, part in parts(value)]
        elif pickled(value) is None:
            memo[id(value)] = value
    return deepcopy(state, memo)
