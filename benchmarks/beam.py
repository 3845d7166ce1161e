"""How long the processes of a BEAM node stand still while they are upgraded, beside OTP's own release handler.

    python -m benchmarks.beam [--sizes 1 1000 10000 100000] [--rounds 7] [--check]

Both upgrade the same gen_servers of the same node, one after the other in each round: OTP by
`release_handler_1:eval_script`, whose whole time counts, relup by what `relup apply` does, of which the window counts
(from the first suspended to the answer that all were told to go on; old states are kept as long) and the whole from the
connection to its end. What is compared is the median over the rounds. A pause is what a caller of one process waits:
eight of them, from the first to the last of the tree, are called all the time in a round of its own.

Then what goes wrong: processes that do not suspend, a way back, and the death of either end of the connection; and one
process with a state of 500 MB. `--check` ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.executor import Options, Outcome, install
from relup.model.relup import Relup
from relup.model.windows import Window, segments
from relup.planner import plan
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.erts import find_erts
from relup.targets.beam.target import BeamNode
from relup.targets.beam.terms import Atom
from relup.targets.beam.transaction import BeamTransaction
from relup.targets.beam.where import Where

MOST_OF_OTP = {1: 1.5, 1_000: 0.5, 10_000: 0.4, 100_000: 0.4}
MOST_BESIDE_OTP = 600.0
MOST_CONNECTING = 500.0
MOST_REFUSING = 200.0
MOST_ROLLING_BACK = 20.0
MOST_RESUMING = 200.0
MOST_FOR_LARGE = 5.0
"""Milliseconds that the window over one process with a large state may last longer than over one with a small one."""
LARGE = 500_000_000
STUCK, TIMEOUT, SOME = 20, 100, 50
PATIENCE = 300.0

WORKER = """
-module(bench_worker).
-vsn("VSN").
-behaviour(gen_server).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, code_change/3]).
start_link(Words) -> gen_server:start_link(?MODULE, Words, []).
init(0) -> {ok, {VSN, none}};
init(Words) -> {ok, {VSN, lists:seq(1, Words)}}.
handle_call(vsn, _, State) -> {reply, element(1, State), State}.
handle_cast({busy, Ms}, State) -> receive after Ms -> {noreply, State} end.
code_change({down, Vsn}, State, _) -> {ok, setelement(1, State, list_to_integer(Vsn))};
code_change(_, State, _) -> {ok, setelement(1, State, VSN)}.
"""
NODE = """
-module(bench).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, fill/2, busy/2, vsns/0, otp/5, probe/1, pauses/1]).

start(_, _) -> supervisor:start_link({local, bench}, ?MODULE, []).
stop(_) -> ok.
init([]) ->
    Child = #{id => worker, start => {bench_worker, start_link, []}, modules => [bench_worker]},
    {ok, {#{strategy => simple_one_for_one}, [Child]}}.

workers() -> [P || {_, P, _, _} <- supervisor:which_children(?MODULE)].

fill(Count, Words) ->
    [{ok, _} = supervisor:start_child(?MODULE, [Words]) || _ <- lists:seq(length(workers()) + 1, Count)],
    [garbage_collect(P) || Words > 0, P <- workers()],
    ok.

busy(Count, Ms) -> [gen_server:cast(P, {busy, Ms}) || P <- lists:sublist(workers(), Count)], ok.

%% The versions of all states; every process has to run to tell.
vsns() ->
    Requests = [gen_server:send_request(P, vsn) || P <- workers()],
    lists:usort([gen_server:receive_response(R, infinity) || R <- Requests]).

otp(Mode, Before, Vsn, Dir, Timeout) ->
    Script = [{load_object_code, {bench, Vsn, [bench_worker]}}, point_of_no_return,
        {suspend, [{bench_worker, Timeout}]}, {load, {bench_worker, brutal_purge, brutal_purge}},
        {code_change, Mode, [{bench_worker, []}]}, {resume, [bench_worker]}],
    Old = filename:dirname(filename:dirname(code:which(bench_worker))),
    {Micros, Result} = timer:tc(release_handler_1, eval_script,
        [Script, [{bench, Before, Old}], [{bench, Vsn, Dir}], [], []]),
    code:purge(bench_worker),
    {Micros, element(1, Result)}.

probe(Count) ->
    All = workers(),
    Total = length(All),
    Places = lists:usort([max(1, I * Total div Count) || I <- lists:seq(0, Count)]),
    [spawn(fun() -> ask(lists:nth(I, All), 0) end) || I <- Places].

ask(P, Longest) ->
    Start = erlang:monotonic_time(microsecond),
    gen_server:call(P, vsn, infinity),
    Now = max(Longest, erlang:monotonic_time(microsecond) - Start),
    receive {stop, Who} -> Who ! {self(), Now} after 1 -> ask(P, Now) end.

pauses(Probes) ->
    [P ! {stop, self()} || P <- Probes],
    lists:max([receive {P, Longest} -> Longest end || P <- Probes]).
"""
UPDATE = "{update, bench_worker, dynamic, LIMIT, {advanced, []}, brutal_purge, brutal_purge, []}"


# ── a release, and a node that runs it ─────────────────────────────────────────────────────────────────


def write_release(folder: Path, vsn: str, limit: str) -> Path:
    """Write a release of plain OTP with one application, whose processes have *limit* milliseconds to suspend."""
    ebin = folder / f"lib/bench-{vsn}/ebin"
    ebin.mkdir(parents=True)
    for module, text in {"bench": NODE, "bench_worker": WORKER.replace("VSN", vsn)}.items():
        source = folder / f"{module}.erl"
        source.write_text(text)
        subprocess.run(["erlc", "+deterministic", "-o", ebin, source], check=True)
    (ebin / "bench.app").write_text(
        f'{{application, bench, [{{description, "Servers"}}, {{vsn, "{vsn}"}}, {{modules, [bench, bench_worker]}},\n'
        "    {registered, [bench]}, {applications, [kernel, stdlib, sasl]}, {mod, {bench, []}}]}.\n"
    )
    update = UPDATE.replace("LIMIT", limit)
    (ebin / "bench.appup").write_text(f'{{"{vsn}", [{{"1", [{update}]}}], [{{"1", [{update}]}}]}}.\n')
    erts, root, libraries = this_otp()
    for library in libraries:
        (folder / "lib" / library).symlink_to(Path(root) / "lib" / library)
    uses = ", ".join('{{{}, "{}"}}'.format(*library.split("-")) for library in libraries)
    rel = folder / "releases" / vsn / "bench.rel"
    rel.parent.mkdir(parents=True)
    rel.write_text(f'{{release, {{"bench", "{vsn}"}}, {{erts, "{erts}"}}, [{uses}, {{bench, "{vsn}"}}]}}.\n')
    return folder


def this_otp() -> tuple[str, str, list[str]]:
    text = (
        'io:format("~s~n~s~n", [erlang:system_info(version), code:root_dir()]), '
        '[io:format("~s~n", [filename:basename(code:lib_dir(A))]) || A <- [kernel, stdlib, sasl]], halt().'
    )
    done = subprocess.run(["erl", "-noshell", "-eval", text], capture_output=True, text=True, check=True)
    erts, root, *libraries = done.stdout.split()
    return erts, root, libraries


@contextmanager
def epmd() -> Iterator[int]:
    """Run a port mapper for this program alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with subprocess.Popen(["epmd", "-d", "-d", "-port", str(port)], stdout=subprocess.PIPE, stderr=-2) as process:
        assert process.stdout is not None
        try:
            next(line for line in process.stdout if b"entering the main select() loop" in line)
            # it writes about each connection: a full pipe would stop it
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield port
        finally:
            process.kill()


@contextmanager
def running(release: Path, port: int) -> Iterator[Where]:
    """Run a node of a release, for the length of the block."""
    host, cookie = socket.gethostname().partition(".")[0], secrets.token_hex(8)
    name = f"bench_{secrets.token_hex(3)}"
    start = "{ok, _} = application:ensure_all_started(bench), io:format('up~n')."
    command = ["erl", "-noinput", "-sname", name, "-setcookie", cookie, "-pa"]
    command += [*map(str, release.glob("lib/bench-*/ebin")), "-kernel", "logger_level", "error", "-eval", start]
    environ = {**os.environ, "ERL_EPMD_PORT": str(port), "ERL_CRASH_DUMP_SECONDS": "0"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"up\n"
            yield where(f"{name}@{host}", cookie, port)
        finally:
            process.kill()


def where(node: str, cookie: str, port: int) -> Where:
    return Where(node, cookie, find_erts(None, os.environ, port), port)


# ── what is measured ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure that must not be above another."""

    what: str
    value: float
    most: float
    said: str

    def __str__(self) -> str:
        verdict = "" if self.value <= self.most else "   MISSED"
        return f"  {self.what:46} {self.value:9.2f}  (at most {self.most:8.2f})  {self.said}{verdict}"


@dataclass(slots=True)
class Bench:
    """A node, the releases, and whoever looks at the node meanwhile."""

    where: Where
    observer: Bridge
    releases: dict[str, Path]
    plans: dict[str, Relup]
    bounds: list[Bound] = field(default_factory=list)

    async def ask(self, function: str, *args: Any) -> Any:
        return await self.observer.call("bench", function, list(args), timeout=PATIENCE)

    async def otp(self, vsn: str, limit: int | str = "default") -> float:
        """Let OTP make another version current; return its milliseconds."""
        before, mode = ("1", "up") if vsn != "1" else ("2", "down")
        folder = [*map(ord, str(self.releases[vsn] / f"lib/bench-{vsn}"))]
        timeout = Atom(limit) if isinstance(limit, str) else limit
        micros, result = await self.ask("otp", Atom(mode), [ord(before)], [ord(vsn)], folder, timeout)
        assert result == "ok", result
        return micros / 1000

    async def back(self) -> None:
        """Let OTP put version 1 back, and see that it is there."""
        await self.otp("1", "infinity")
        await self.is_at(1)

    async def is_at(self, vsn: int) -> None:
        found = await self.ask("vsns")
        assert found == [("reply", vsn)], found

    def note(self, what: str, value: float, most: float, said: str = "") -> None:
        self.bounds.append(Bound(what, value, most, said))
        print(self.bounds[-1], flush=True)


@dataclass(frozen=True, slots=True)
class Applied:
    """One upgrade by relup, in milliseconds."""

    outcome: Outcome
    ready: float
    whole: float

    @property
    def window(self) -> float:
        return self.outcome.windows[0].milliseconds


async def apply(bench: Bench, vsn: str, status: str = "done") -> Applied:
    """Connect, upgrade and leave again, as `relup apply` does."""
    marks = list[float]()
    begin = time.perf_counter()
    async with connect(bench.where) as bridge:
        outcome = await install(
            bench.plans[vsn],
            BeamNode(bridge),
            owner="benchmark",
            emit=lambda event: marks.append(event.at),
            clock=time.perf_counter,
            options=Options(),
        )
    whole = time.perf_counter() - begin
    assert outcome.status == status, outcome
    return Applied(outcome, (marks[0] - begin) * 1000, whole * 1000)


async def back(bench: Bench) -> None:
    """Let relup take back what it did, with the version of the application, which OTP's script alone leaves."""
    await apply(bench, "1")
    await bench.is_at(1)


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} [{min(values):.1f} – {max(values):.1f}]"


async def measure(bench: Bench, size: int, rounds: int) -> list[float]:
    """Upgrade *size* processes by OTP and by relup in turn; return how long connecting took."""
    await bench.ask("fill", size, 0)
    otp, applied = list[float](), list[Applied]()
    for _ in range(rounds):
        otp.append(await bench.otp("2"))
        await bench.is_at(2)
        await bench.back()
        applied.append(await apply(bench, "2"))
        await bench.is_at(2)
        await back(bench)
    windows, whole = [a.window for a in applied], [a.whole for a in applied]
    beside = statistics.median(otp)
    name = f"{size:,} process{'es' if size > 1 else ''}"
    said = f"window {spread(windows)} ms, OTP {spread(otp)} ms"
    bench.note(f"{name}: window / OTP", statistics.median(windows) / beside, MOST_OF_OTP.get(size, 1.5), said)
    bench.note(f"{name}: connect to end, ms", statistics.median(whole), beside + MOST_BESIDE_OTP, spread(whole))
    pauses = [await paused(bench, by) for by in ("relup", "otp")]
    print(f"  {name + ': longest pause of one':46} {pauses[0]:9.2f} ms, by OTP {pauses[1]:.2f} ms", flush=True)
    return [a.ready for a in applied]


async def paused(bench: Bench, by: str) -> float:
    """Return the longest that a caller of one process waited while all were upgraded."""
    probes = await bench.ask("probe", 8)
    await (apply(bench, "2") if by == "relup" else bench.otp("2"))
    longest = await bench.ask("pauses", probes)
    await (back(bench) if by == "relup" else bench.back())
    return float(longest) / 1000


async def stuck(bench: Bench, rounds: int) -> None:
    """Upgrade while some processes do not suspend: relup refuses, OTP goes on without them."""
    mine, otp = list[float](), list[float]()
    for _ in range(rounds):
        await bench.ask("busy", STUCK, 1_500)
        applied = await apply(bench, "3", "rolled_back")
        named = [d for d in applied.outcome.diagnostics if d.code == "suspend_timeout"]
        assert len(named) == STUCK, applied.outcome.diagnostics
        mine.append(applied.window)
        await bench.is_at(1)
        await bench.ask("busy", STUCK, 5_000)
        otp.append(await bench.otp("2", TIMEOUT))
        assert await bench.ask("vsns") == [("reply", 1), ("reply", 2)]
        await bench.back()
    said = f"{spread(mine)}; OTP {spread(otp)} ms, and it says ok"
    bench.note(f"{STUCK} stuck, limit {TIMEOUT} ms: refused after, ms", statistics.median(mine), MOST_REFUSING, said)


@asynccontextmanager
async def changed(bridge: Bridge, relup: Relup) -> AsyncIterator[BeamTransaction]:
    """Open a window, and change all states in it."""
    target = BeamNode(bridge)
    async with target.hold("benchmark"), target.begin(relup) as transaction:
        parts = segments(relup.script)
        await transaction.prepare(parts)
        (window,) = (p for p in parts if isinstance(p, Window))
        await transaction.select(window.suspensions)
        await transaction.suspend()
        await transaction.load(window)
        for change in window.after:
            await transaction.change_code(change, "goal")
        yield transaction


async def roll_back(bench: Bench, rounds: int) -> None:
    """Take back a window in which all states were changed."""
    took = list[float]()
    for _ in range(rounds):
        async with connect(bench.where) as bridge, changed(bridge, bench.plans["2"]) as transaction:
            begin = time.perf_counter()
            await transaction.rollback()
            took.append((time.perf_counter() - begin) * 1000)
        await bench.is_at(1)
    bench.note(f"rollback of {SOME}, ms", statistics.median(took), MOST_ROLLING_BACK, spread(took))


async def hold(node: str, port: int, base: Path, goal: Path) -> None:
    """Be a controller that stops in the window, to be killed there; say which process the bridge is."""
    relup = plan(read_release(base), read_release(goal))
    async with connect(where(node, os.environ["BENCH_COOKIE"], port)) as bridge, changed(bridge, relup):
        children = await asyncio.to_thread(Path(f"/proc/self/task/{os.getpid()}/children").read_text)
        print(children, flush=True)
        await asyncio.Event().wait()


async def killed(bench: Bench, who: str, rounds: int) -> None:
    """Kill one end of the connection in the window; measure until every process has answered."""
    took = list[float]()
    for _ in range(rounds):
        argv = [sys.executable, "-m", "benchmarks.beam", "--hold", bench.where.node, str(bench.where.epmd_port)]
        argv += [str(bench.releases["1"]), str(bench.releases["2"])]
        environ = {**os.environ, "BENCH_COOKIE": bench.where.cookie}
        process = await asyncio.create_subprocess_exec(
            *argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        (bridge,) = map(int, (await process.stdout.readline()).split())
        begin = time.perf_counter()
        os.kill(bridge if who == "bridge" else process.pid, signal.SIGKILL)
        await bench.is_at(1)
        took.append((time.perf_counter() - begin) * 1000)
        if process.returncode is None and who == "bridge":
            process.terminate()
        await process.wait()
    bench.note(f"{who} killed: all go on after, ms", max(took), MOST_RESUMING, spread(took))


async def large(bench: Bench, rounds: int) -> list[float]:
    """Return the windows over the one process there is."""
    windows = list[float]()
    for _ in range(rounds):
        windows.append((await apply(bench, "2")).window)
        await back(bench)
    return windows


# ── all of it ──────────────────────────────────────────────────────────────────────────────────────────


async def run(folder: Path, sizes: Sequence[int], rounds: int) -> list[Bound]:
    limits = {"1": "default", "2": "default", "3": str(TIMEOUT)}
    releases = {vsn: write_release(folder / vsn, vsn, limit) for vsn, limit in limits.items()}
    read = {vsn: read_release(path) for vsn, path in releases.items()}
    plans = {"1": plan(read["2"], read["1"]), **{vsn: plan(read["1"], read[vsn]) for vsn in ("2", "3")}}
    gc.collect()
    gc.freeze()
    with epmd() as port:
        with running(releases["1"], port) as at:
            async with connect(at) as observer:
                bench = Bench(at, observer, releases, plans)
                ready = list[float]()
                for size in [s for s in sizes if s <= SOME]:
                    ready += await measure(bench, size, 3 * rounds)
                await bench.ask("fill", SOME, 0)
                await roll_back(bench, rounds)
                await killed(bench, "bridge", rounds)
                await killed(bench, "controller", rounds)
                await stuck(bench, 2)
                for size in [s for s in sizes if s > SOME]:
                    ready += await measure(bench, size, rounds if size < 100_000 else max(3, rounds // 2))
                bench.note("connected and agent loaded, ms", statistics.median(ready), MOST_CONNECTING, spread(ready))
        windows = list[list[float]]()
        for words in (0, LARGE // 16):
            with running(releases["1"], port) as at:
                async with connect(at) as observer:
                    bench = Bench(at, observer, releases, plans, bench.bounds)
                    await bench.ask("fill", 1, words)
                    windows.append(await large(bench, rounds))
        more = statistics.median(windows[1]) - statistics.median(windows[0])
        said = f"window {spread(windows[1])} ms, small state {spread(windows[0])} ms"
        bench.note(f"one state of {LARGE // 10**6} MB: longer by, ms", more, MOST_FOR_LARGE, said)
    return bench.bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(MOST_OF_OTP))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is missed")
    parser.add_argument("--hold", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold:
        node, port, base, goal = options.hold
        asyncio.run(hold(node, int(port), Path(base), Path(goal)))
        return
    with tempfile.TemporaryDirectory() as folder:
        bounds = asyncio.run(run(Path(folder), options.sizes, options.rounds))
    missed = [b for b in bounds if b.value > b.most]
    print(f"{len(missed)} of {len(bounds)} bounds missed" if missed else f"all {len(bounds)} bounds hold")
    sys.exit(1 if missed and options.check else 0)


if __name__ == "__main__":
    main()
