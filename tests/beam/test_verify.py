"""`verify` on a BEAM node: who is asked when, what a no does, and that a deadline waits for what is on record."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import pytest

from relup.cli.otp import relup_text
from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.executor import Outcome, install
from relup.model.instructions import Verify
from relup.model.route import Route
from relup.planner import find_route, plan
from relup.targets.beam.after_loss import found_after_loss
from relup.targets.beam.agent import agent
from relup.targets.beam.connect import connect
from relup.targets.beam.deploy import boot_record
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.target import BeamNode as Target
from relup.targets.beam.terms import Atom, characters
from relup.targets.durable import replace_file
from tests.beam.asking import GONE
from tests.beam.nodes import Beam, BeamNode, copy_release
from tests.beam.racing import GONE as AGENT_GONE
from tests.beam.racing import RUNS, race
from tests.beam.reaching import reach
from tests.beam.test_contract import HOUR, VIEW
from tests.beam.test_migrate import APPUP, applied
from tests.support import Commands

SOURCE = Path(__file__).parent / "verifying" / "verifying.erl"
UP = """
      - add_module: depot_price
      - verify: {module: verifying, function: well, timeout: 1000}
      - update: {module: depot_stock, change: advanced}
      - update: {module: depot_till, change: advanced, depends: [depot_stock, depot_price]}
      - update: {module: depot_door, change: advanced}
      - update: {module: depot_log, change: advanced}
      - update: {module: depot_tally, change: advanced}
      - update: {module: depot_pool, change: supervisor}
      - update: {module: depot_worker, change: advanced}"""

CUT = "[erlang:disconnect_node(N) || N <- nodes(hidden), hd(atom_to_list(N)) =/= $a]"
"""Cuts off who confirms, and not who asks for the test."""


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the code of what answers on the node."""
    folder = tmp_path_factory.mktemp("verifying")
    subprocess.run(["erlc", "+deterministic", "-o", folder, SOURCE], check=True)
    return (folder / "verifying.beam").read_bytes()


def goal(beam: Beam, folder: Path) -> Path:
    """Return release 2 of the depot with an appup that asks."""
    release = copy_release(beam.depot["2"], folder, "depot")
    (ebin,) = release.glob("lib/depot-2/ebin")
    (ebin / "depot.appup").unlink()
    (ebin / "depot.appup.yaml").write_text(APPUP.format(up=UP, down=" inverse"))
    return release


@contextmanager
def depot(beam: Beam, code: bytes) -> Iterator[BeamNode]:
    with beam.depot_node(interval=HOUR, workers=2) as node:
        loaded = node.ask(f'code:load_binary(verifying, "verifying", <<{",".join(map(str, code))}>>)')
        assert loaded == ("module", "verifying")
        yield node


def say(node: BeamNode, *answers: str) -> None:
    node.ask(f"verifying:say([{', '.join(answers)}])")


NOES = {
    "false": "verify verifying:well() said no: false, while its processes stood still",
    "{error, empty}": "verify verifying:well() said no: {error,empty}, while its processes stood still",
    "raise": "verify verifying:well() said no: not_well in verifying:well/0 (",
    "call": "verify verifying:well() did not answer within 1 s, while its processes stood still",
}


def test_a_no_in_the_window_rolls_back_and_a_later_one_leads_back(beam: Beam, tmp_path: Path, asking: bytes) -> None:
    to = goal(beam, tmp_path / "2")
    with depot(beam, asking) as node:
        before = node.ask(VIEW)
        for answer, words in NOES.items():
            say(node, answer)
            outcome = applied(node, beam.depot["1"], to)
            (said,) = [d for d in outcome.diagnostics if d.code == "verify_failed"]
            assert words in said.message
            assert str(said.location).endswith("depot.appup.yaml:8:9")
            assert (outcome.exit_code, node.ask("verifying:asked()")) == (5, 1)
            after = node.ask(VIEW)
            assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [], answer
        say(node, "state", "false")
        outcome = applied(node, beam.depot["1"], to)
        (said,) = [d for d in outcome.diagnostics if d.code == "verify_failed"]
        assert said.message == "verify verifying:well() said no: false, when its processes ran again"
        assert (outcome.exit_code, node.ask(RUNS), node.ask(GONE)) == (5, "1", [])
        assert {"migrated_down"} <= {d.code for d in outcome.diagnostics}
        say(node, "ok")
        outcome = asyncio.run(_cut_off(node, find_route(read_release(beam.depot["1"]), read_release(to))))
        assert node.ask(AGENT_GONE)
        assert (outcome.exit_code, node.ask(RUNS), node.ask(GONE)) == (5, "1", [])
        assert {"not_taken_back", "connection_lost"} & {d.code for d in outcome.diagnostics} == {"connection_lost"}


async def _cut_off(node: BeamNode, along: Route) -> Outcome:
    """Apply a route, and be cut off when everybody runs and nobody was asked again."""

    class CutOff(Target):
        async def ask_again(self, probes: Sequence[Verify]) -> None:
            await asyncio.to_thread(node.ask, CUT)
            await super().ask_again(probes)

    async with connect(reach(node)) as bridge:
        outcome = await install(along, CutOff(bridge), owner="a test", emit=lambda event: None, clock=perf_counter)
    return await found_after_loss(reach(node), along, outcome)


def test_otp_is_not_given_what_it_would_not_ask(beam: Beam, tmp_path: Path) -> None:
    relup = plan(read_release(beam.depot["1"]), read_release(goal(beam, tmp_path / "2")))
    with pytest.raises(InvalidInput, match=r"depot\.appup\.yaml:8:9: OTP has no `verify`"):
        relup_text(relup)


def test_a_no_while_it_is_provisional_leads_back_and_whoever_confirms_then_is_told(
    commands: Commands, beam: Beam, tmp_path: Path, asking: bytes
) -> None:
    to = goal(beam, tmp_path / "2")
    with depot(beam, asking) as node:
        say(node, "ok", "true", "{ok, yes}", "{error, empty}")
        commands.run("apply", node.name, to, "--yes", "--confirm", "20")
        node.wait_for(r"goes back: verify verifying:well says no: \{error,empty\}")
        assert node.ask(AGENT_GONE)
        assert (node.ask(RUNS), node.ask("verifying:asked()")) == ("1", 4)
        assert "the node went back to depot 1" in commands.run("confirm", node.name, exit_code=4).stderr
        told = [(e["what"], e["release"]) for e in json.loads(commands.run("history", node.name, "--json").stdout)]
        assert told == [("upgrade", "depot 2"), ("went_back", "depot 1")]


# ── confirmed or not ───────────────────────────────────────────────────────────────────────────────────


def test_of_confirm_and_the_deadline_one_wins_and_the_record_says_which(commands: Commands, beam: Beam) -> None:
    """At the same moment, and when whoever confirms is lost on one side of the record or on the other."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        assert len(race(beam, node, commands.home, tries=3)) == 3
        for recorded in (False, True):
            commands.run("apply", node.name, beam.depot["2"], "--yes", "--confirm", "4")
            asyncio.run(_lost(beam, node, recorded=recorded))
            assert node.ask(AGENT_GONE)
            assert node.ask(RUNS) == ("2" if recorded else "1")


async def _lost(beam: Beam, node: BeamNode, *, recorded: bool) -> None:
    """Begin to confirm and be cut off, when that is on record or before."""
    file, says = boot_record(node.root, read_release(beam.depot["2"]))
    async with connect(reach(node)) as bridge:
        with suppress(BridgeError):
            async with agent(bridge, "who is lost") as held:
                await held.ask(Atom("confirming"), characters(file), says)
                if recorded:
                    replace_file(file, says)
                await asyncio.to_thread(node.ask, CUT)
                held.stays = False
