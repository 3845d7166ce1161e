"""How long it takes to draft the appups between two releases: reading both, comparing, and writing the drafts.

    python -m benchmarks.drafts [--kind beam|python] [--modules 2000] [--changed 0.05]

A Python release has one application, whose modules import names of four others, all of them of the first one; one in
ten is a gen_server. A BEAM release has ten applications; one module in ten is a gen_server with a record for its
state, the others are functions that call one another. They are compiled once, and renamed for the others by their
tables of atoms: what is measured does not depend on what is in them more than that. Processor time is measured, the
best of three runs, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import process_time

from relup.document import read_release
from relup.document.draft import draft_text
from relup.planner import draft

APPLICATIONS, SERVERS = 10, 10
BOUND = 3.0
"""Seconds for 2,000 modules; others in proportion."""

_SERVER = """\
-module(m_00000).
-behaviour(gen_server).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).
-record(state, {{items = [], sum = 0, name{field}}}).
start_link(X) -> gen_server:start_link(?MODULE, X, []).
init(X) -> {{ok, #state{{name = X}}}}.
handle_call({{add, X}}, _, #state{{items = I, sum = N}} = S) ->
    {{reply, ok, S#state{{items = [X | I], sum = m_00001:add(N, X)}}}};
handle_call({{find, K}}, _, #state{{items = I}} = S) ->
    {{reply, lists:filter(fun({{K1, _}}) -> K1 =:= K; (#{{key := K1}}) -> K1 =:= K; (_) -> false end, I), S}};
handle_call(all, _, S) -> {{reply, {{S#state.items, S#state.sum, #{{name => S#state.name}}}}, S}}.
handle_cast({{forget, K}}, S) -> {{noreply, S#state{{items = lists:keydelete(K, 1, S#state.items)}}}};
handle_cast(_, S) -> {{noreply, S}}.
handle_info({{timeout, _, _}}, S) -> {{noreply, S#state{{items = []}}}};
handle_info(_, S) -> {{noreply, S}}.
"""
_PLAIN = """\
-module(m_00000).
-export([add/2, text/1, all/1]).
add(A, B) -> A + B + {number}.
text(X) -> <<"some text ", (integer_to_binary(X))/binary, " and more">>.
all(L) -> [m_00001:add(X, 1) || X <- L, X > 3].
"""


_FUNCTION = """\
def f{k}(x, y=1):
    \'\'\'Say it.\'\'\'
    # a comment
    if x > y:
        return x + {number}
    return [z for z in range(x)]
"""
_DATA = """\
class C:
    def __init__(self, a):
        self.a = a
    def m(self):
        return self.a
"""
_PYTHON_SERVER = """\
from relup.runtime import GenServer
class S(GenServer):
    def init(self, args):
        return {"a": 1}
    def handle_call(self, request, caller, state):
        return state["a"]
"""


def beams(folder: Path) -> Mapping[str, bytes]:
    """Return a server and a plain module in two versions each, compiled."""
    texts = {
        "server/1": _SERVER.format(field=""),
        "server/2": _SERVER.format(field=", tax = 0"),
        "plain/1": _PLAIN.format(number=1),
        "plain/2": _PLAIN.format(number=2),
    }
    found = {}
    for name, text in texts.items():
        place = folder / name
        place.mkdir(parents=True)
        (place / "m_00000.erl").write_text(text)
        subprocess.run(["erlc", "-o", place, place / "m_00000.erl"], check=True)
        found[name] = (place / "m_00000.beam").read_bytes()
    return found


def write_beam(folder: Path, vsn: str, modules: int, changed: Callable[[int], bool], made: Mapping[str, bytes]) -> Path:
    """Write a release of *modules* modules; names have one length, so a module is renamed in place."""
    share = modules // APPLICATIONS
    lines = ['{kernel, "1"}', '{stdlib, "1"}']
    for name in ("kernel", "stdlib"):
        ebin = folder / "lib" / f"{name}-1" / "ebin"
        ebin.mkdir(parents=True)
        (ebin / f"{name}.app").write_text(app_file(name, "1", ()))
    for app in range(APPLICATIONS):
        ebin = folder / "lib" / f"app{app}-{vsn}" / "ebin"
        ebin.mkdir(parents=True)
        names = [f"m_{n:05}" for n in range(app * share, (app + 1) * share)]
        for n, name in enumerate(names):
            kind = "plain" if n % SERVERS else "server"
            following = names[(n // SERVERS * SERVERS + (n + 1) % SERVERS) % share]
            made_of = made[f"{kind}/{vsn if changed(n) else 1}"]
            renamed = made_of.replace(b"m_00001", following.encode()).replace(b"m_00000", name.encode())
            (ebin / f"{name}.beam").write_bytes(renamed)
        (ebin / f"app{app}.app").write_text(app_file(f"app{app}", vsn, names))
        lines.append(f'{{app{app}, "{vsn}"}}')
    file = folder / "releases" / vsn / "big.rel"
    file.parent.mkdir(parents=True)
    file.write_text(f'{{release, {{"big", "{vsn}"}}, {{erts, "13.1"}}, [{", ".join(lines)}]}}.\n')
    return file


def app_file(name: str, vsn: str, modules: Sequence[str]) -> str:
    said = f'{{description, ""}}, {{vsn, "{vsn}"}}, {{registered, []}}, {{applications, []}}'
    return f"{{application, {name}, [{said}, {{modules, [{', '.join(modules)}]}}]}}.\n"


def pair(kind: str, folder: Path, modules: int, share: float) -> tuple[Path, Path]:
    """Write both releases."""
    every = max(1, round(1 / share))

    def changed(n: int) -> bool:
        return n % every == 0

    if kind == "python":
        return write_python(folder, "1", modules, changed), write_python(folder, "2", modules, changed)
    made = beams(folder / "made")
    old, new = (write_beam(folder / v, v, modules, changed, made) for v in ("1", "2"))
    return old, new


def write_python(folder: Path, vsn: str, modules: int, changed: Callable[[int], bool]) -> Path:
    """Write a release of *modules* modules of 40 lines; each imports names of four before it."""
    package = folder / vsn / "big"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for n in range(modules):
        lines = [
            f'"""Module {n}."""',
            *(f"from big.m{(n * 7 + k * 13) % n} import f{k} as g{k}" for k in range(4) if n),
        ]
        more = 1 if vsn == "2" and changed(n) else 0
        lines += [_FUNCTION.format(k=k, number=k + more) for k in range(8)]
        lines += [_DATA, *([_PYTHON_SERVER] if n % SERVERS == 0 else [])]
        (package / f"m{n}.py").write_text("\n".join(lines))
    (folder / vsn / "release.yaml").write_text(
        f'name: big\nvsn: "{vsn}"\napplications: [{{name: big, vsn: "{vsn}"}}]\n'
    )
    return folder / vsn


def seconds(old: Path, new: Path, folder: Path) -> tuple[float, int]:
    """Time one draft, from two folders to written files; return how many instructions it has, too."""
    began = process_time()
    older, newer = read_release(old), read_release(new)
    found = draft(older, newer)
    for each in found:
        (folder / f"{each.application}.appup").write_text(draft_text(each, newer), encoding="utf-8")
    return process_time() - began, sum(len(d.up) for d in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["beam", "python"], default="python")
    parser.add_argument("--modules", type=int, default=2_000)
    parser.add_argument("--changed", type=float, default=0.05, help="the share of modules that changed")
    options = parser.parse_args()
    if options.kind == "beam" and shutil.which("erlc") is None:
        sys.exit("no `erlc` to compile modules with: apt install erlang-base erlang-dev, or brew install erlang")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = pair(options.kind, folder, options.modules, options.changed)
        took, instructions = min(seconds(old, new, folder) for _ in range(3))
    bound = BOUND * options.modules / 2_000
    what = f"{options.modules:,} modules of {options.kind}, {instructions:,} instructions"
    print(f"{what:<44} {took:6.2f} s (bound {bound:.1f} s)")
    return 0 if took <= bound else 1


if __name__ == "__main__":
    sys.exit(main())
