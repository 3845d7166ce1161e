"""The life of one pair, in a process of its own: a node that is used, upgraded, used, downgraded, used.

Prints one JSON document with what was seen; `test_pairs` says what is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from relup.diagnostics import RelupError
from relup.document.route import route_from_data
from relup.executor import Options
from relup.targets.python.service import serve


def digest() -> dict[str, Any]:
    """`sys.modules` and every namespace in it, values by identity."""
    return {
        name: {k: id(v) for k, v in vars(module).items() if k != "__warningregistry__"}
        if isinstance(module, ModuleType)
        else id(module)
        for name, module in list(sys.modules.items())
    }


async def main(spec: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    modules = spec["modules"]
    plans = {name: route_from_data(plan) for name, plan in spec["plans"].items()}
    with tempfile.TemporaryDirectory() as home:
        async with serve(spec["release"], name="shop", base=Path(home)) as service:

            async def ask(*request: str) -> Any:
                return await service.node.call("worker", request)

            async def use(when: str) -> None:
                files = {n: str(getattr(sys.modules[n], "__file__", None)) for n in modules if n in sys.modules}
                seen[when] = {
                    "fresh": await ask("fresh"),
                    **{held: await ask("use", held) for held in json.loads(await ask("held"))},
                    "versions": {d: importlib.metadata.version(d) for d in spec["distributions"]},
                    "roots": sorted({f.partition("/shop-")[2][0] for f in files.values() if "/shop-" in f}),
                    "loaded": len(files),
                }

            async def apply(plan: str, when: str, *, dry_run: bool = False) -> None:
                try:
                    outcome = await service.handler.install(
                        plans[plan], owner="a test", emit=lambda _: None, options=Options(dry_run=dry_run)
                    )
                except RelupError as error:
                    seen[when] = {"status": "refused", "said": [str(d) for d in error.diagnostics]}
                    return
                seen[when] = {
                    "status": outcome.status,
                    "held": [d.message for d in outcome.diagnostics if d.code == "old_objects_held"],
                    "said": [str(d) for d in outcome.diagnostics if d.severity != "note"],
                    "ms": [round(w.milliseconds, 1) for w in outcome.windows],
                }

            async def fail() -> None:
                before = digest()
                await apply("fails", "fails")
                after = digest()
                seen["not as it was"] = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
                await use("after the failure")

            await ask("keep", "first")
            await use("before")
            if not spec["large"]:
                await apply("up", "dry run", dry_run=True)
                await use("still before")
            await apply("up", "up")
            await ask("keep", "second")
            await use("new")
            if spec["large"]:
                await fail()
            await apply("down", "down")
            await use("back")
            if not spec["large"]:
                await apply("up", "up again")
                await ask("keep", "third")
                await use("new again")
                await fail()
    return seen


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
    print(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)  # threads that packages started are none of our business
