"""A Python node for `benchmarks.soak`: its releases, the load inside it, and controllers that come over its socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

from benchmarks.soak import Kind, Traffic, Upgrade, Ways, processor_of
from relup.diagnostics import Busy, Refused
from relup.document import read_release
from relup.model.relup import Relup
from relup.planner import plan
from relup.targets.history import read_history
from relup.targets.python.client import connect

NAME = "soak"
WORKERS, SENDERS = 8, 3
BURST, PAUSE = 2, 0.005
"""How many messages a sender sends each server, and the seconds until it does so again."""
PATIENCE = 60.0

APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from shop.sender import Asker, Sender
    from shop.worker import Worker

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            servers = [ChildSpec(f"w{{i}}", Worker, i, name=f"w{{i}}") for i in range({workers})]
            senders = [ChildSpec(f"s{{i}}", Sender, i, name=f"s{{i}}") for i in range({senders})]
            return SupervisorSpec([*servers, *senders, ChildSpec("asker", Asker, None, name="asker")])
"""
SENDER = """
    from relup.runtime import GenServer, Reply

    class Sender(GenServer):
        def init(self, number):
            self.send(self.pid, "tick")
            return (0, True)

        def handle_info(self, message, state):
            sent, goes_on = state
            if not goes_on:
                return state
            for number in range(sent + 1, sent + {burst} + 1):
                for worker in range({workers}):
                    self.cast(f"w{{worker}}", (self.name, number))
            self.send_after({pause}, "tick")
            return (sent + {burst}, True)

        def handle_call(self, request, caller, state):
            sent, goes_on = state
            return Reply(sent * {workers}, (sent, goes_on and request != "stop"))

    class Asker(GenServer):
        '''Calls one server after the other, each with the number of its call, and waits for the answer.'''

        def init(self, args):
            self.send(self.pid, "tick")
            return (0, True)

        async def handle_info(self, message, state):
            sent, goes_on = state
            if not goes_on:
                return state
            for worker in range({workers}):
                assert await self.call(f"w{{worker}}", (self.name, sent + 1), timeout=60) == sent + 1
            self.send_after({pause}, "tick")
            return (sent + 1, True)

        def handle_call(self, request, caller, state):
            sent, goes_on = state
            return Reply(sent * {workers}, (sent, goes_on and request != "stop"))
"""
MODEL = """
    import abc, functools, logging, re
    from dataclasses import dataclass, field
    from enum import Enum
    from typing import NamedTuple, Protocol

    class Color(Enum):
        RED = {vsn}

    class Failure(Exception): ...
    class Pair(NamedTuple):
        left: int
        right: int = {vsn}
    class Named(Protocol):
        name: str
    class Store(abc.ABC):
        @abc.abstractmethod
        def get(self): ...
    class Kept(Store):
        def get(self): return {vsn}
    Store.register(dict)

    @dataclass
    class Account:
        number: int
        last: dict = field(default_factory=dict)
        received: int = 0
        wrong: int = 0
        changed: int = 0
        color: Color = Color.RED

    @functools.lru_cache
    def cached(): return Account(0)
    @functools.singledispatch
    def shown(x): return x
    @shown.register
    def _(x: Account): return x.number

    NUMBER = re.compile("[0-9]+")
    log = logging.getLogger(__name__)
    cached(), shown(cached()), isinstance(Kept(), Store), isinstance(3, Store)
"""
WORKER = """
    from relup.runtime import GenServer, Reply, counterpart, migrate
    from shop.model import Account, Color

    class Worker(GenServer):
        def init(self, number):
            return Account(number)

        def handle_cast(self, message, state):
            return note(state, *message)

        def handle_call(self, request, caller, state):
            match request:
                case "what":
                    right = type(state) is Account and state.color is Color.RED
                    return Reply(({vsn}, state.received, state.wrong, right), state)
                case (sender, number):
                    return Reply(number, note(state, sender, number))

        def code_change(self, old_vsn, state, extra):
            if {fails} and state.number == {last}:
                state.last.clear()
                raise ValueError("the last one")
            other = counterpart(type(state))
            return migrate(state, other, changed=state.changed + 1, color=counterpart(type(state.color)).RED)

    def note(state, sender, number):
        state.wrong += number != state.last.get(sender, 0) + 1
        state.last[sender] = number
        state.received += 1
        return state
"""
APPUP = """
    application: shop
    vsn: "{vsn}"
    up:
      - from: {{regex: "[12]"}}
        instructions:
          - load_module: shop.model
          - update: {{module: shop.worker, change: advanced, depends: [shop.model]}}
    down:
      - to: {{regex: "[12]"}}
        instructions:
          - update: {{module: shop.worker, change: advanced, depends: [shop.model]}}
          - load_module: shop.model
"""


def write(folder: Path, vsn: int) -> Path:
    package = folder / str(vsn) / "shop"
    package.mkdir(parents=True)
    load = {"burst": BURST, "pause": PAUSE, "workers": WORKERS, "senders": SENDERS}
    texts = {
        "__init__": "",
        "app": dedent(APP).format(**load),
        "sender": dedent(SENDER).format(**load),
        "model": dedent(MODEL).format(vsn=vsn),
        "worker": dedent(WORKER).format(vsn=vsn, fails=vsn == 3, last=WORKERS - 1),
    }
    for module, text in texts.items():
        (package / f"{module}.py").write_text(text)
    root = package.parent
    (root / "release.yaml").write_text(
        f'name: shop\nvsn: "{vsn}"\napplications:\n  - {{name: shop, vsn: "{vsn}", start: "shop.app:App"}}\n'
    )
    if vsn > 1:
        (root / "shop.appup.yaml").write_text(dedent(APPUP).format(vsn=vsn))
    return root


class Lost(Exception):
    """The controller dies here."""


class PythonSubject:
    def __init__(self, pid: int, home: Path, plans: Mapping[tuple[int, int], Relup]) -> None:
        self._pid = pid
        self._home = home
        self._ways = Ways(plans)

    def upgrade(self, kind: Kind) -> Upgrade:
        return self._ways.upgrade(kind, partial(self._apply, kind))

    def _apply(self, kind: Kind, data: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
        def die(event: Mapping[str, Any]) -> None:
            if kind == "lost" and event["phase"] == "load":
                raise Lost

        try:
            with self._client() as client:
                return client.ask("apply", die, plan=data, options=options)
        except Lost:
            return self._ended()

    def _ended(self) -> Mapping[str, Any]:
        """Wait until the upgrade that has lost its controller is over; return what the node says of it."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self._client() as client:
                try:
                    client.ask("releases")
                except Busy:
                    time.sleep(0.02)
                    continue
            told = read_history(self._home / NAME / "history.jsonl")[-1]
            return {"status": told["outcome"], "windows": [{"milliseconds": w} for w in told["windows_ms"]]}
        raise AssertionError("an upgrade without a controller does not end")

    def confirm(self) -> None:
        with self._client() as client:
            confirmed = client.ask("confirm")
        assert confirmed["lingering"] == [], confirmed

    def counts(self) -> Mapping[str, float]:
        told = [self._evaluate(f'await node.call("w{i}", "what")') for i in range(WORKERS)]
        assert all(said.startswith(f"({self._ways.vsn}, ") and said.endswith(", True)") for said in told), told
        found = json.loads(self._evaluate("from benchmarks.soak_probe import PROBE; PROBE.count(node)").strip("'"))
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self._pid}/status").read_text().splitlines())
        return {
            "memory of the node, MB": int(status["VmRSS"].split()[0]) / 1024,
            "file descriptors": len(list(Path(f"/proc/{self._pid}/fd").iterdir())),
            "threads of the system": int(status["Threads"]),
            **found,
            "history file, bytes": (self._home / NAME / "history.jsonl").stat().st_size,
            "files in the home": sum(1 for _ in (self._home / NAME).rglob("*")),
        }

    def traffic(self) -> Traffic:
        return self._traffic("sent")

    def processor(self) -> float:
        return processor_of(self._pid)

    def _traffic(self, request: str) -> Traffic:
        senders = [*(f"s{i}" for i in range(SENDERS)), "asker"]
        sent = sum(int(self._evaluate(f'await node.call("{s}", "{request}")')) for s in senders)
        told = [eval(self._evaluate(f'await node.call("w{i}", "what")')) for i in range(WORKERS)]
        return Traffic(sent, sum(t[1] for t in told), sum(t[2] for t in told))

    def stop(self) -> Traffic:
        """What a sender sent is in the mailboxes when it answers, and before the question that comes after it."""
        return self._traffic("stop")

    def _evaluate(self, source: str) -> str:
        with self._client() as client:
            value = client.ask("evaluate", source=source)["value"]
        return str(value)

    def _client(self) -> Any:
        return connect(self._home, NAME)


@contextmanager
def running(folder: Path) -> Iterator[PythonSubject]:
    """Run a node of the first release, for the length of the block."""
    roots = {vsn: write(folder / "releases", vsn) for vsn in (1, 2, 3)}
    read = {vsn: read_release(root) for vsn, root in roots.items()}
    plans = {way: plan(read[way[0]], read[way[1]]) for way in ((1, 2), (2, 1), (1, 3), (2, 3))}
    argv = [sys.executable, "-m", "relup", "start", roots[1], "--name", NAME]
    environ = {**os.environ, "RELUP_HOME": str(folder / "home"), "PYTHONPATH": str(Path(__file__).parents[1])}
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, env=environ, stderr=log) as process:
        try:
            _await_start(folder / "home", process)
            yield PythonSubject(process.pid, folder / "home", plans)
        finally:
            process.terminate()


def _await_start(home: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(Refused), connect(home, NAME):
            return
        time.sleep(0.02)
    raise AssertionError("the node does not start")
