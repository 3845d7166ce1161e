"""`relup new --from-node`: what it says of live states, that it works once it is answered, what stays in the node."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner

from relup.cli.app import relup
from relup.cli.demo import examples
from tests.cli.live_cases import CASES, Case, module
from tests.support import Commands, write_release

ANEMONE = examples() / "anemone"
APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    {imports}

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([{children}])
"""


def modules(which: int) -> dict[str, str]:
    """Return the modules of all cases in one of their two versions."""
    texts = {n: module((c.old, c.new)[which]) for n, c in CASES.items()}
    texts |= {f"{n}_model": dedent(c.shared[which]) for n, c in CASES.items() if c.shared[which]}
    imports = "; ".join(f"from shop import {n}" for n in CASES)
    children = [
        f'ChildSpec("{n}{i}", {n}.Server, {i}, name="{n}{i}")' for n, c in CASES.items() for i in range(c.count)
    ]
    return {**texts, "app": APP.format(imports=imports, children=", ".join(children))}


@dataclass(frozen=True)
class Told:
    """What one command said of every case, and what came of it."""

    output: str
    live: Mapping[str, Mapping[str, Any]]
    states: tuple[Mapping[str, str], ...]
    """Before, after the upgrade, and after the downgrade."""
    refused: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Draft from one node that has all cases, answer everything, and go up and down."""
    folder = tmp_path_factory.mktemp("live")
    commands = Commands(folder / "home")
    one, two = (write_release(folder / v, v, modules(n)) for n, v in enumerate("12"))
    with commands.node(one):
        states = [shown(commands)]
        done = commands.run("new", "--from-node", "shop", two, "--json")
        (found,) = json.loads(done.stdout)
        refused = commands.run("apply", "shop", two, "--yes", exit_code=3).stderr
        live = {seen["live"]["module"].removeprefix("shop."): seen for seen in found["live"]}
        for name, case in CASES.items():
            if source := live[name]["source"] if name in live else None:
                file = two / "shop" / f"{name}.py"
                needs = re.findall(r"# needs: (.*)", source)
                file.write_text("\n".join([*needs, file.read_text(), answered(source, case), ""]))
        appup = Path(found["file"])
        appup.write_text("".join(f"{line}\n" for line in found["text"].splitlines() if line.lstrip()[:1] != "#"))
        commands.run("apply", "shop", two, "--yes")
        states.append(shown(commands))
        commands.run("downgrade", "shop", "--yes")
        states.append(shown(commands))
    return Told(done.stdout + done.stderr, live, tuple(states), refused)


def shown(commands: Commands) -> Mapping[str, str]:
    names = [f"{n}{i}" for n, c in CASES.items() for i in range(c.count)]
    done = commands.run("rpc", "shop", f"{{n: await node.call(n, 'show') for n in {names}}}")
    found: Mapping[str, str] = literal_eval(done.stdout)
    return found


def answered(source: str, case: Case) -> str:
    """Return a drafted method with its answers, without its questions."""
    text = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("#"))
    for asked, answer in case.answers.items():
        place = text.index(asked)
        text = text[:place] + answer + text[place + len(asked) :]
    assert "TODO" not in text, text
    return text


@pytest.mark.parametrize("name", CASES)
def test_a_draft_says_what_differs_and_works_once_it_is_answered(told: Told, name: str) -> None:
    case, seen = CASES[name], told.live.get(name, {"looked": [], "findings": [], "source": None, "todos": []})
    findings, source = "\n".join([*seen["looked"], *seen["findings"]]), seen["source"] or ""
    assert [part for part in case.said if part not in findings] == [], findings
    assert [part for part in case.unsaid if part in findings] == [], findings
    assert [part for part in case.source if part not in source] == [], source
    asked = "\n".join([] if source else seen["todos"])
    assert [part for part in case.asked if part not in asked] == [], asked
    assert bool(asked) == bool(case.asked)
    assert bool(seen["findings"]) == bool(case.said)
    assert seen.get("answered", False) == (bool(case.said) and not source and not asked)
    first = [states[f"{name}0"] for states in told.states]
    assert first == [case.was, case.now, case.back or case.was]


def test_no_value_leaves_the_node(told: Told) -> None:
    assert [word for word in ("secret0", "alice0") if word in told.output] == []


def test_what_is_not_answered_is_not_applied(told: Told) -> None:
    assert len(re.findall(r"\[todo\]", told.refused)) > len(CASES)


UNSEEN = """
    import asyncio
    from relup.runtime import GenServer
    MORE = {more}

    class {name}(GenServer):
        def init(self, args):
            return {{"items": []{entry}}}

        async def handle_cast(self, message, state):
            await asyncio.Event().wait()
"""


def test_where_nobody_was_looked_at_the_draft_says_so_and_so_does_its_file(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "home")
    app = APP.format(
        imports="from shop import busy, idle, quiet",
        children='ChildSpec(1, busy.Busy, name="busy", shutdown="brutal_kill")',
    )
    one, two = (
        write_release(
            tmp_path / str(vsn),
            str(vsn),
            {
                "app": app,
                "busy": UNSEEN.format(more=vsn, name="Busy", entry=', "seen": 0' * (vsn - 1)),
                "idle": UNSEEN.format(more=vsn, name="Idle", entry=', "seen": 0' * (vsn - 1)),
                "quiet": UNSEEN.format(more=vsn, name="Quiet", entry=""),
            },
        )
        for vsn in (1, 2)
    )
    with commands.node(one):
        commands.run("rpc", "shop", "node.cast('busy', None)")
        told = commands.run("new", "--from-node", "shop", two).stdout
    alone = "what is said of its states comes from the texts of the two releases alone"
    for line in (
        f"shop.busy:Busy: of 1 live state(s) 0 were looked at: {alone}",
        f"shop.idle:Idle: it has no live process: {alone}",
        f"shop.quiet:Quiet: it has no live process: {alone}",
    ):
        assert line in told.splitlines()
    written = " ".join((two / "shop.appup.yaml").read_text().replace("#", " ").split())
    assert f"Busy: of 1 live state(s) 0 were looked at: {alone} Busy: 1 busy, and not looked at: busy (" in written
    assert f"Idle: it has no live process: {alone} TODO: Idle in shop.idle has no code_change" in written
    assert f"a server: its state is what it was Quiet: it has no live process: {alone}" in written


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    commands = Commands(tmp_path_factory.mktemp("counter") / "home")
    with commands.node(examples() / "anemone" / "1"):
        yield commands


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--from-node", "anemone", ANEMONE / "1", ANEMONE / "2"), 2, "anemone says which release it runs"),
        ((ANEMONE / "2",), 2, "give two releases, or a new one and --from-node"),
        (("--from-node", "anemone", ANEMONE / "1"), 0, "nothing to draft"),
        (("--from-node", "anemone", examples() / "chat" / "2"), 3, "different_releases"),
        (("--from-node", "nobody", ANEMONE / "2"), 4, "no node 'nobody' runs here"),
        (("--from-node", "shop@host", ANEMONE / "2"), 3, "--from-node: only for nodes of Python yet"),
        (("--from-node", "anemone", ANEMONE / "2"), 0, "anemone.counter:Counter: of 1 live state(s) 1 were looked at"),
        (("--from-node", "anemone", ANEMONE / "nowhere"), 3, "there is no release"),
        (("--from-node", "", ANEMONE / "2"), 2, "--from-node: which node?"),
        (("-o", __file__, ANEMONE / "1", ANEMONE / "2"), 3, "is written into a folder, and this is a file"),
    ],
)
def test_what_it_is_asked_wrongly_or_needlessly_is_said(
    counter: Commands, arguments: tuple[object, ...], code: int, said: str
) -> None:
    done = CliRunner().invoke(relup, ["new", *map(str, arguments)], env=counter.environ)
    assert (done.exit_code, said in done.output) == (code, True), done.output
