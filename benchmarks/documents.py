"""How long documents take: an appup of 10,000 instructions, one of OTP's, a plan, and a release of 2,000 modules.

    python benchmarks/documents.py

Seconds of wall clock, the best of three; the processor's seconds beside them, for a machine that does other work.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from relup.document import (
    read_appup,
    read_release,
    read_relup,
    read_sources,
    relup_from_data,
    relup_to_data,
    write_appup,
    write_relup,
)
from relup.document.erlang.appup import read_erlang_appup
from relup.document.erlang.conversion import export_appup, import_appup
from relup.document.erlang.grammar import parser
from relup.model.instructions import Load, PointOfNoReturn, Resume, Suspend, Suspension
from relup.model.release import Release
from relup.model.relup import Relup

INSTRUCTIONS, MODULES = 10_000, 2_000


def appup_lines(count: int) -> Iterator[str]:
    """An appup of many instructions of several kinds, long forms and short, block and flow."""
    yield from ("application: big", "vsn: 2.10", "up:", "  - from: 2.9", "    instructions:")
    forms = (
        "      - update:\n          module: big.m{0}\n          change: {{advanced: {{bonus: {0}, name: x}}}}\n"
        "          depends: [big.a, big.b]\n          timeout: 3000",
        "      - load_module:\n          module: big.m{0}\n          pre_purge: soft_purge\n"
        "          post_purge: soft_purge\n          depends:\n            - big.a",
        "      - add_module: {{module: big.m{0}, depends: [big.a]}}",
        "      - apply:\n          module: big.m{0}\n          function: migrate\n          args: [1, 2.5, {{a: b}}]\n"
        "          undo: {{module: big, function: back}}",
        "      - update:\n          module: big.m{0}\n          change: soft\n          mod_type: dynamic",
    )
    for n in range(count):
        yield forms[n % len(forms)].format(n)


def measure(what: str, run: Callable[[], Any]) -> Any:
    best, cpu, result = float("inf"), float("inf"), None
    for _ in range(3):
        wall, used = time.perf_counter(), time.process_time()
        result = run()
        best, cpu = min(best, time.perf_counter() - wall), min(cpu, time.process_time() - used)
    print(f"{what:<58} {best:6.3f} s   {cpu:6.3f} s cpu")
    return result


def appups(folder: Path) -> None:
    file = folder / "big.appup.yaml"
    text = "\n".join(appup_lines(INSTRUCTIONS)) + "\n"
    file.write_text(text)
    size = f"{INSTRUCTIONS:,} instructions ({text.count(chr(10)):,} lines)"
    appup = measure(f"{size} read, validated, decoded", lambda: read_appup(file))
    measure(f"{INSTRUCTIONS:,} instructions written", lambda: write_appup(appup))


def erlang_lines(size: int) -> Iterator[str]:
    """An appup of OTP of about *size* bytes, with a comment above every other instruction."""
    yield '{"2.10",\n [{<<"2\\\\.[0-9]+">>,\n   ['
    forms = (
        "    %% its state has one more field since 2.9\n"
        '    {{update, big_m{0}, 3000, {{advanced, [{{bonus, {0}}}, {{n, "x"}}]}}, soft_purge, soft_purge, [big_a]}},',
        "    {{load_module, big_m{0}, brutal_purge, soft_purge, [big_a, big_b]}},",
        '    %% called with what it needs\n    {{apply, {{big_m{0}, migrate, [1, 2.5, #{{a => <<"b">>}}]}}}},',
        "    {{update, big_m{0}, supervisor}},",
    )
    for n in range(size // 83):
        yield forms[n % len(forms)].format(n)
    yield "    point_of_no_return]}],\n []}."


def erlang_appups(folder: Path) -> None:
    measure("the grammar of Erlang's terms, once in a process", parser.__wrapped__)
    file, yaml = folder / "big.appup", folder / "big.appup.yaml"
    text = "\n".join(erlang_lines(120_000)) + "\n"
    file.write_text(text)
    size = f"OTP's appup of {len(text) // 1000} KB"
    measure(f"{size} read, validated, decoded", lambda: read_erlang_appup(file))
    yaml.write_text(measure(f"{size} imported as YAML", lambda: import_appup(file))[0])
    measure(f"{size} exported from YAML", lambda: export_appup(yaml))


def plans(folder: Path) -> None:
    modules = [f"big.m{n}" for n in range(INSTRUCTIONS // 3)]
    steps = [s for m in modules for s in (Suspend((Suspension(m),)), Load(m), Resume((m,)))]
    plan = Relup("up", Release("big", "1"), Release("big", "2"), (PointOfNoReturn(), *steps))
    measure(
        f"a plan of {len(steps):,} instructions to JSON and back",
        lambda: relup_from_data(json.loads(json.dumps(relup_to_data(plan)))),
    )
    file = folder / "plan.yaml"
    file.write_text(write_relup(plan))
    measure(f"a plan of {len(steps):,} instructions read from YAML", lambda: read_relup(file))


def releases(folder: Path) -> None:
    root = folder / "release"
    for n in range(MODULES):
        package = root / "big" / f"p{n % 40}"
        package.mkdir(parents=True, exist_ok=True)
        (package / f"m{n}.py").write_text(f"VALUE = {n}\n" * 100)
    (root / "release.yaml").write_text("name: big\nvsn: 1\napplications:\n  - {name: big, vsn: 1}\n")
    release = measure(f"a release of {MODULES:,} modules read and fingerprinted", lambda: read_release(root))
    measure(f"the sources of {MODULES:,} modules found", lambda: read_sources(release))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        appups(Path(folder))
        erlang_appups(Path(folder))
        plans(Path(folder))
        releases(Path(folder))


if __name__ == "__main__":
    main()
