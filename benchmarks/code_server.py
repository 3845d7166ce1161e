"""How long code takes to load: 500 modules with 20,000 from-imports, staged, swapped and undone.

    python -m benchmarks.code_server [--modules 500] [--imports 40] [--rounds 5]

Only the swap and its undo stand in the window. Staging runs in a worker thread before it; a plain import of the same
modules is what it is compared with.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from relup.runtime.code import CodeServer, Source, Staged
from relup.runtime.code.source import read


def write(folder: Path, modules: int, imports: int, vsn: int) -> dict[str, Path]:
    """Write modules of 40 functions and classes each; every module imports names of those before it."""
    (folder / "bench").mkdir(parents=True)
    paths = {"bench": folder / "bench/__init__.py"}
    paths["bench"].write_text("")
    for n in range(modules):
        lines = [f"__vsn__ = '{vsn}'"]
        for k in range(imports if n else 0):
            source = (n * 7 + k * 13) % n
            lines.append(f"from bench.m{source} import f{k % 20} as g{k}")
        lines += [f"def f{k}(x=0):\n    return x + {vsn}" for k in range(20)]
        lines += [f"class C{k}:\n    vsn = {vsn}\n    def a(self):\n        return f{k}()" for k in range(5)]
        paths[f"bench.m{n}"] = folder / f"bench/m{n}.py"
        paths[f"bench.m{n}"].write_text("\n".join(lines) + "\n")
    return paths


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return milliseconds and the result; the collector is off as in a window."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        result = call()
        return (time.perf_counter() - begin) * 1000, result
    finally:
        gc.enable()


def in_a_thread(call: Callable[[], Staged]) -> tuple[Staged, float]:
    """Run *call* beside a heartbeat of 1 ms; return its result and the longest gap in ms."""
    result: list[Staged] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    gap, last = 0.0, time.perf_counter()
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
    return result[0], gap * 1000


def report(label: str, values: Iterable[float]) -> None:
    """Print the least and the greatest of some durations."""
    found = list(values)
    print(f"  {label:<34} {min(found):9.2f} – {max(found):.2f} ms")


def run(folder: Path, modules: int, imports: int, rounds: int, share: float) -> None:
    """Boot the first release and go up and back *rounds* times with a *share* of its modules."""
    old = write(folder / "1", modules, imports, 1)
    new = write(folder / "2", modules, imports, 2)
    code = CodeServer()
    code.boot(old)
    plain, _ = timed(lambda: [importlib.import_module(name) for name in old])
    members = [name for name in new if name != "bench"][: int(modules * share)]
    sources: list[Source] = [read(name, new[name]) for name in members]
    stages, swaps, undos, gaps = [], [], [], []
    staged: Staged | None = None
    for _ in range(rounds):
        begin = time.perf_counter()
        staged, gap = in_a_thread(lambda: code.stage(sources))
        stages.append((time.perf_counter() - begin) * 1000)
        gaps.append(gap)
        count = len(staged.writes)
        swaps.append(timed(staged.swap)[0])
        assert sys.modules[members[-1]].f1() == 2
        undos.append(timed(staged.undo)[0])
        assert sys.modules[members[-1]].f1() == 1
    print(f"{modules} modules, {modules * imports} from-imports, {len(members)} of them upgraded, {count} writes")
    report("plain import of all", [plain])
    report("stage, in a thread (first)", stages[:1])
    report("stage, in a thread (tables known)", stages[1:] or stages)
    report("longest gap of a 1 ms heartbeat", gaps)
    report("swap", swaps)
    report("undo", undos)
    staged = code.stage(sources)
    staged.swap()
    linger, found = timed(lambda: code.lingering(members[:50]))
    report(f"lingering of 50 modules, {len(gc.get_objects()):,} objects", [linger])
    assert not found, found[:3]
    code.close()


def main() -> None:
    """Measure the whole release, then half of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", type=int, default=500)
    parser.add_argument("--imports", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for share in (1.0, 0.5):
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), options.modules, options.imports, options.rounds, share)


if __name__ == "__main__":
    main()
