"""Swap a realistic release many times in a process of its own, and print what there is of everything, again and again.

    python -m tests.runtime.code.endurance {purged|undone} [ROUNDS]

A line is a JSON object of counts, taken after each tenth of the rounds. A process of its own, because a test runner
makes and drops objects between two counts.
"""

from __future__ import annotations

import _abc
import abc
import atexit
import collections.abc
import copyreg
import gc
import json
import linecache
import logging
import numbers
import sys
import tempfile
import threading
import types
import typing
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from relup.runtime.code import CodeServer
from tests.runtime.code.realistic import STEADY, release
from tests.runtime.code.releases import Running, settled

ABSTRACT = [c for m in (collections.abc, numbers) for c in vars(m).values() if isinstance(c, abc.ABCMeta)]


def let_threads_end() -> None:
    """Wait for those that staged, which end by themselves; an executor's and the watchdog's end with the loop."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith(("asyncio_", "relup watchdog")):
            thread.join(60)


def counts(code: CodeServer) -> dict[str, Any]:
    """Return how much there is of everything that careless reloading lets grow."""
    let_threads_end()
    settled()
    code.tidy()
    books: Any = code._books
    objects = gc.get_objects()
    kinds = Counter(type(o).__qualname__ for o in objects)
    found = {
        "objects": len(objects),
        "modules": len(sys.modules),
        "classes": sum(n for k, n in kinds.items() if k in ("type", "ABCMeta", "EnumType", "EnumMeta", "Meta")),
        "functions": kinds["function"],
        "subclasses": [len(c.__subclasses__()) for c in (object, Exception, Warning, dict, abc.ABC, threading.local)],
        "abstract": sum(len(part) for c in ABSTRACT for part in _abc._get_dump(c)[:3]),
        "typing": sum(c.__self__.cache_info().currsize for c in vars(typing)["_cleanups"]),
        "typing caches": len(vars(typing)["_cleanups"]),
        "overloads": sum(map(len, typing._overload_registry.values())),  # type: ignore[attr-defined]
        "lines": len(linecache.cache),
        "loggers": len(logging.root.manager.loggerDict),
        "handlers": len(logging._handlerList),  # type: ignore[attr-defined]
        "filters": len(warnings.filters),
        "reducers": len(copyreg.dispatch_table),
        "at exit": atexit._ncallbacks(),
        "finders": len(sys.meta_path),
        "threads": threading.active_count(),
        "books": [len(books.versions), len(books.old), len(books.finder.paths), len(books.references)],
        "dropped": sum(map(len, books.dropped.values())),
        "tables": [len(books.tables._release), len(books.tables._others)],
        "upgrades": [len(code._staged), len(code._given_up), len(code._untidied)],
        "freed": all(code.freed(name) for name in books.versions),
        "kinds": dict(kinds.most_common(40)),
    }
    del objects, kinds
    return found


def swaps(running: Running, how: str, rounds: int) -> None:
    """Go to a version and purge the one before, or go there and back."""
    sources = {vsn: running.sources(release(vsn), str(vsn)) for vsn in (2, 3)}
    for n in range(rounds):
        vsn = n % 2 + 2
        staged = running.code.stage(sources[vsn])
        staged.swap()
        assert running["shop"].Failure.code == running["shop.steady"].Failure.code == vsn
        if how == "undone":
            staged.undo()
        else:
            running.code.purge(staged.previous)
        del staged
        if (n + 1) % (rounds // 10) == 0:
            print(json.dumps(counts(running.code)), flush=True)


def main() -> None:
    how, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder))
        running.boot({**release(1), "shop/steady.py": STEADY})
        functions = [
            f for f in gc.get_objects() if isinstance(f, types.FunctionType) and str(f.__module__).startswith("shop")
        ]
        classes = [c for c in gc.get_objects() if isinstance(c, type) and str(c.__module__).startswith("shop")]
        print(json.dumps({"functions": len(functions), "classes": len(classes)}))
        del functions, classes
        swaps(running, how, rounds)


if __name__ == "__main__":
    main()
