"""What is counted inside a Python node that is upgraded again and again; `benchmarks.soak` lets the node import it."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

from relup.runtime import Node
from tests.runtime.code.endurance import counts

PARTS = {
    "subclasses": [f"subclasses of {c}" for c in ("object", "Exception", "Warning", "dict", "ABC", "local")],
    "books": ["versions kept", "old versions kept", "paths of the finder", "references to classes"],
    "tables": ["import table, release", "import table, others"],
    "upgrades": ["upgrades staged", "upgrades given up", "upgrades untidied"],
}


class Probe:
    """Counts, and weak references to everything that the code of the last count had made."""

    def __init__(self) -> None:
        self._watched: list[weakref.ref[Any]] = []

    def count(self, node: Node) -> str:
        """Return how much there is, as JSON; what was watched at the last count has to be gone."""
        found = counts(node.code)
        kept = {key: value for key, value in found.items() if isinstance(value, int) and not isinstance(value, bool)}
        for key, names in PARTS.items():
            kept |= dict(zip(names, found[key], strict=True))
        del found
        gc.collect()
        functions = [o for o in gc.get_objects() if isinstance(o, types.FunctionType)]
        kept["gc objects"] = len(gc.get_objects())
        kept["allocated blocks"] = sys.getallocatedblocks()
        kept["code objects"] = len({id(f.__code__) for f in functions})
        kept["asyncio tasks"] = len(asyncio.all_tasks())
        kept["processes"] = len(node.processes)
        kept["cached expressions"] = len(re._cache)  # type: ignore[attr-defined]
        kept["old classes, functions, code alive"] = sum(r() is not None for r in self._watched)
        kept["lingering"] = len(node.code.old) + len(node.code.buried())
        del kept["objects"]
        self._watched = list(_references(functions))
        return json.dumps(kept)


def _references(functions: list[types.FunctionType]) -> Iterator[weakref.ref[Any]]:
    changed = ("shop.model", "shop.worker")
    for function in functions:
        if function.__module__ in changed:
            yield weakref.ref(function)
            if "/shop/" in function.__code__.co_filename:  # what a decorator put around it has code of its own
                yield weakref.ref(function.__code__)
    for o in gc.get_objects():
        if isinstance(o, type) and o.__module__ in changed:
            yield weakref.ref(o)


PROBE = Probe()
"""The node's one: each request has a namespace of its own, and what was watched has to outlive it."""
