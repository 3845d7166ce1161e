"""A BEAM node for `benchmarks.soak`: its releases, the load inside it, and controllers that come by a bridge each."""

from __future__ import annotations

import ast
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.beam import epmd, this_otp, where
from benchmarks.soak import Kind, Traffic, Upgrade, Ways, processor_of
from relup.document import read_release
from relup.model.relup import Relup
from relup.planner import plan
from relup.targets.beam.client import BeamClient, beam_client
from relup.targets.beam.standing import beam_home
from relup.targets.beam.where import Where

WORKERS, SENDERS = 50, 3
PATIENCE = 60.0
REQUESTS = 5
"""What one controller asks for before the next one comes: each has to start an Erlang."""

SOAK = """
-module(soak).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, traffic/1, is_at/1, counts/1]).

start(_, _) -> supervisor:start_link({local, soak}, ?MODULE, []).
stop(_) -> ok.
init([]) ->
    Workers = [#{id => {worker, I}, start => {soak_worker, start_link, [I]}} || I <- lists:seq(1, WORKERS)],
    Senders = [#{id => {sender, I}, start => {soak_sender, start_link, [K]}}
        || {I, K} <- [{0, call} | [{I, cast} || I <- lists:seq(1, SENDERS)]]],
    {ok, {#{}, Workers ++ Senders}}.

pids(Kind) -> [P || {{K, _}, P, _, _} <- supervisor:which_children(?MODULE), K =:= Kind].

%% What was sent to all servers, what they received, and how much of it was not the next one: the servers answer after
%% whatever was sent before. The zero is there because a list of small numbers may be shown as text.
traffic(What) ->
    Sent = lists:sum([gen_server:call(P, What, 60000) || P <- pids(sender)]),
    Told = told(),
    [0, Sent, lists:sum([N || {_, _, N, _} <- Told]), lists:sum([N || {_, _, _, N} <- Told])].

told() -> [gen_server:call(P, what, 60000) || P <- pids(worker)].

is_at(Vsn) -> lists:usort([{Right, V} || {Right, V, _, _} <- told()]) =:= [{true, Vsn}].

counts(Modules) ->
    [garbage_collect(P) || P <- processes()],
    Loaded = [M || {M, _} <- code:all_loaded()],
    Info = fun(What) -> [V || P <- processes(), {_, V} <- [process_info(P, What)]] end,
    Memory = erlang:memory([total, binary, system, code, ets, atom_used]),
    [0,
     erlang:system_info(atom_count),
     length(processes()),
     length(erlang:ports()),
     length(ets:all()),
     length(Loaded),
     length([M || M <- Loaded, erlang:check_old_code(M)]),
     length([P || M <- Modules, P <- processes(), erlang:check_process_code(P, M)]),
     length(nodes(known)),
     length(registered()),
     maps:get(count, persistent_term:info()),
     length(code:get_path()),
     lists:sum([length(D) || D <- Info(dictionary)]),
     lists:sum([length(L) || What <- [monitors, monitored_by, links], L <- Info(What)]),
     case erlang:module_loaded(relup_agent) of true -> 1; false -> 0 end,
     lists:sum(Info(memory)) div 1024
     | [Bytes div 1024 || {_, Bytes} <- Memory]].
"""
WORKER = """
-module(soak_worker).
-vsn("VSN").
-behaviour(gen_server).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, code_change/3]).
start_link(N) -> gen_server:start_link(?MODULE, N, []).
init(N) -> {ok, {VSN, N, #{}, 0, 0}}.
handle_call(what, _, {Vsn, _, _, Received, Wrong} = State) ->
    {reply, {VSN =:= Vsn andalso soak_model:vsn() =:= VSN, Vsn, Received, Wrong}, State};
handle_call({Sender, Number}, _, State) -> {reply, Number, note(Sender, Number, State)}.
handle_cast({Sender, Number}, State) -> {noreply, note(Sender, Number, State)}.
note(Sender, Number, {Vsn, N, Last, Received, Wrong}) ->
    More = case maps:get(Sender, Last, 0) + 1 of Number -> 0; _ -> 1 end,
    {Vsn, N, soak_model:put(Sender, Number, Last), Received + 1, Wrong + More}.
FAILScode_change({down, _}, State, _) -> {ok, setelement(1, State, 3 - VSN)};
code_change(_, State, _) -> {ok, setelement(1, State, VSN)}.
"""
FAILS = "code_change(_, {_, WORKERS, _, _, _}, _) -> error(the_last_one);\n"
MODEL = """
-module(soak_model).
-vsn("VSN").
-export([vsn/0, put/3, names/0]).
vsn() -> VSN.
names() -> #{version_VSN => "a literal of this version", list => lists:seq(1, VSN)}.
put(Key, Value, Map) -> (fun(M) -> M#{Key => Value} end)(Map).
"""
SENDER = """
-module(soak_sender).
-behaviour(gen_server).
-export([start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).
start_link(How) -> gen_server:start_link(?MODULE, How, []).
init(How) -> self() ! tick, {ok, {How, 0, []}}.
handle_cast(_, State) -> {noreply, State}.
handle_call(sent, _, {_, Sent, Workers} = State) -> {reply, Sent * length(Workers), State};
handle_call(stop, _, {_, Sent, Workers}) -> {reply, Sent * length(Workers), {stopped, Sent, Workers}}.
handle_info(tick, {How, 0, []}) ->
    %% asked for by another: the supervisor is waiting for init
    handle_info(tick, {How, 0, [P || {{worker, _}, P, _, _} <- supervisor:which_children(soak)]});
handle_info(tick, {stopped, _, _} = State) -> {noreply, State};
handle_info(tick, {How, Sent, Workers}) ->
    case How of
        cast -> [gen_server:cast(P, {self(), Sent + 1}) || P <- Workers];
        call -> [Number = gen_server:call(P, {self(), Number}, infinity) || Number <- [Sent + 1], P <- Workers]
    end,
    erlang:send_after(20, self(), tick),
    {noreply, {How, Sent + 1, Workers}}.
"""
MODULES = ("soak", "soak_worker", "soak_model", "soak_sender")
APPUP = """
{"VSN",
 [{"1", [{load_module, soak_model}, {update, soak_worker, {advanced, []}, [soak_model]}]},
  {"2", [{load_module, soak_model}, {update, soak_worker, {advanced, []}, [soak_model]}]}],
 [{"1", [{update, soak_worker, {advanced, []}, [soak_model]}, {load_module, soak_model}]}]}.
"""


def write(folder: Path, vsn: int, otp: tuple[str, str, list[str]]) -> Path:
    """Write a release of plain OTP with one application."""
    ebin = folder / f"lib/soak-{vsn}/ebin"
    ebin.mkdir(parents=True)
    for module, text in zip(MODULES, (SOAK, WORKER, MODEL, SENDER), strict=True):
        plain = text.replace("FAILS", FAILS if vsn == 3 else "").replace("VSN", str(vsn))
        source = plain.replace("WORKERS", str(WORKERS)).replace("SENDERS", str(SENDERS))
        (folder / f"{module}.erl").write_text(source)
    sources = [folder / f"{module}.erl" for module in MODULES]
    subprocess.run(["erlc", "+deterministic", "-o", ebin, *sources], check=True)
    (ebin / "soak.app").write_text(
        f'{{application, soak, [{{description, "Servers"}}, {{vsn, "{vsn}"}}, {{modules, [{", ".join(MODULES)}]}},\n'
        "    {registered, [soak]}, {applications, [kernel, stdlib, sasl]}, {mod, {soak, []}}]}.\n"
    )
    if vsn > 1:
        (ebin / "soak.appup").write_text(APPUP.replace("VSN", str(vsn)))
    erts, root, libraries = otp
    for library in libraries:
        (folder / "lib" / library).symlink_to(Path(root) / "lib" / library)
    (folder / f"erts-{erts}").symlink_to(Path(root) / f"erts-{erts}")
    uses = ", ".join('{{{}, "{}"}}'.format(*library.split("-")) for library in libraries)
    rel = folder / "releases" / str(vsn) / "soak.rel"
    rel.parent.mkdir(parents=True)
    rel.write_text(f'{{release, {{"soak", "{vsn}"}}, {{erts, "{erts}"}}, [{uses}, {{soak, "{vsn}"}}]}}.\n')
    (rel.parents[1] / "start_erl.data").write_text(f"{erts} {vsn}\n")
    return folder


class BeamSubject:
    def __init__(self, at: Where, pid: int, base: Path, plans: Mapping[tuple[int, int], Relup]) -> None:
        self._where = at
        self._pid = pid
        self._base = base
        self._ways = Ways(plans)
        self._controller = ExitStack()
        self._current: BeamClient | None = None
        self._asked = 0

    def upgrade(self, kind: Kind) -> Upgrade:
        return self._ways.upgrade(kind, partial(self._apply, kind))

    def _apply(self, kind: Kind, data: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
        def die(event: Mapping[str, Any]) -> None:
            if kind == "lost" and event["phase"] == "load":
                for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    if "relup_bridge" in Path(f"/proc/{child}/cmdline").read_text():
                        os.kill(int(child), signal.SIGKILL)

        try:
            return self._client().ask("apply", die, plan=data, options=options)
        finally:
            if kind == "lost":
                self.leave()

    def confirm(self) -> None:
        confirmed = self._client().ask("confirm")
        assert confirmed["lingering"] == [], confirmed

    def counts(self) -> Mapping[str, float]:
        assert self._evaluate(f"soak:is_at({self._ways.vsn})") is True
        found = self._evaluate(f"soak:counts([{', '.join(MODULES)}])")
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self._pid}/status").read_text().splitlines())
        home = beam_home(self._base, self._where.node).path
        return {
            "memory of the node, MB": int(status["VmRSS"].split()[0]) / 1024,
            "file descriptors": len(list(Path(f"/proc/{self._pid}/fd").iterdir())),
            "threads of the system": int(status["Threads"]),
            **dict(zip(COUNTED, found[1:], strict=True)),
            "descriptors of the controller": len(list(Path("/proc/self/fd").iterdir())),
            "history file, bytes": (home / "history.jsonl").stat().st_size,
            "files in the home": sum(1 for _ in home.rglob("*")),
        }

    def traffic(self) -> Traffic:
        return Traffic(*self._evaluate("soak:traffic(sent)")[1:])

    def stop(self) -> Traffic:
        return Traffic(*self._evaluate("soak:traffic(stop)")[1:])

    def processor(self) -> float:
        return processor_of(self._pid)

    def leave(self) -> None:
        """Let the controller that is there go."""
        self._controller.close()
        self._asked = 0

    def _evaluate(self, source: str) -> Any:
        value = self._client().ask("evaluate", source=source)["value"]
        return True if value == "true" else ast.literal_eval(value)

    def _client(self) -> BeamClient:
        """Return the controller; after some requests another one comes."""
        if self._asked % REQUESTS == 0:
            self.leave()
            self._current = self._controller.enter_context(beam_client(self._where, self._base, timeout=PATIENCE))
        self._asked += 1
        assert self._current is not None
        return self._current


COUNTED = (
    "atoms",
    "processes",
    "ports",
    "ets tables",
    "modules loaded",
    "modules with old code",
    "processes in old code",
    "nodes known",
    "registered names",
    "persistent terms",
    "folders in the code path",
    "entries in process dictionaries",
    "links and monitors",
    "agents left",
    "memory: processes, KB",
    "memory: total, KB",
    "memory: binary, KB",
    "memory: system, KB",
    "memory: code, KB",
    "memory: ets, KB",
    "memory: atoms, KB",
)


@contextmanager
def running(folder: Path) -> Iterator[BeamSubject]:
    """Run a node of the first release, for the length of the block."""
    otp = this_otp()
    roots = {vsn: write(folder / "releases" / str(vsn), vsn, otp) for vsn in (1, 2, 3)}
    read = {vsn: read_release(root) for vsn, root in roots.items()}
    plans = {way: plan(read[way[0]], read[way[1]]) for way in ((1, 2), (2, 1), (1, 3), (2, 3))}
    host, cookie = socket.gethostname().partition(".")[0], secrets.token_hex(8)
    name = f"soak_{secrets.token_hex(3)}"
    command = ["erl", "-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-sname", name]
    command += ["-setcookie", cookie, "-pa", str(roots[1] / "lib/soak-1/ebin"), "-kernel", "logger_level", "none"]
    command += ["-eval", "{ok, _} = application:ensure_all_started(soak), io:format('up~n')."]
    with epmd() as port:
        environ = {**os.environ, "ERL_EPMD_PORT": str(port), "ERL_CRASH_DUMP_SECONDS": "0"}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"up\n"
                at = replace(where(f"{name}@{host}", cookie, port), release=roots[1])
                subject = BeamSubject(at, process.pid, folder / "home", plans)
                try:
                    yield subject
                finally:
                    subject.leave()
            finally:
                process.kill()
