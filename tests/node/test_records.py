"""What a node keeps of itself: nobody's secrets, one upgrade at a time, the way back, and what is made of damage."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from relup.diagnostics import Refused, RelupError
from relup.document import read_release
from relup.document.route import route_to_data
from relup.executor import Options
from relup.model.route import Route
from relup.planner import plan
from relup.report.status import history_lines, status_lines
from relup.targets.python.client import connect
from relup.targets.python.found import look_back
from relup.targets.python.home import Home
from relup.targets.python.service import choose
from relup.targets.records import Installed, Records, records_from_bytes, records_to_bytes
from tests.node.disks import NO_HURRY, lay_out
from tests.node.lives import recorded
from tests.node.test_instructions import UPDATE, apply, appup, running, shop
from tests.node.test_recovery import changed

SECRET = "hunter2-0xC0FFEE"
OPTIONS: dict[str, object] = {"dry_run": False, "allow_irreversible": False, "strict": False, "confirm": None}
A, B, C, D = (Installed("shop", vsn, f"/srv/{vsn}") for vsn in "1234")


def test_no_word_of_the_program_is_in_the_history(tmp_path: Path) -> None:
    given = f"- update: {{module: shop.worker, change: {{advanced: {{password: {SECRET}}}}}}}"
    failing = f"- apply: {{module: shop.ops, function: fail, args: [{SECRET}]}}"
    ops = {"ops": "def fail(*args):\n    raise PermissionError(f'wrong password {args}')\n"}

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", extra=ops), tmp_path / "home") as service:
            w0 = service.node.process("w0")
            w0.state.append(SECRET)
            raises = f"raise ValueError(f'cannot migrate {{state}} with {{extra}}, {SECRET}')"
            goal = changed(tmp_path / "2", raises, given)
            (goal / "shop" / "ops.py").write_text(ops["ops"])
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            assert SECRET in str(outcome.diagnostics[0])
            goal = shop(tmp_path / "3", "3", appup(UPDATE, failing, down=(UPDATE,)).replace('"2"', '"3"'), extra=ops)
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            assert SECRET in str(outcome.diagnostics[0])
            content = (tmp_path / "home" / "shop" / "history.jsonl").read_bytes()
            assert SECRET.encode() not in content
            told = service.handler.history()
            assert [e["because"][0].split(" ")[0] for e in told if e.get("because")] == [
                "code_change_failed",
                "call_failed",
            ]
            text = "\n".join(history_lines(told))
            assert SECRET not in text
            assert f"code_change_failed ({tmp_path / '2' / 'shop.appup.yaml'}:6:" in text

    asyncio.run(scenario())


def test_a_request_that_was_made_before_somebody_else_upgraded_the_node_is_late(tmp_path: Path) -> None:
    home = tmp_path / "home"

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), home) as service:
            one, two = read_release(tmp_path / "1"), read_release(shop(tmp_path / "2", "2", appup(UPDATE)))
            up, down = (route_to_data(Route((plan(a, b),))) for a, b in ((one, two), (two, one)))

            def ask(op: str, **fields: Any) -> Any:
                with connect(home, "shop") as client:
                    return client.ask(op, **fields)

            def controllers() -> None:
                lost = ask("releases")["number"]
                begun = [ask("apply", plan=p, options=OPTIONS, number=lost + n) for n, p in enumerate((up, down))]
                assert [b["number"] for b in begun] == [lost + 1, lost + 2]
                # what runs is what ran when the lost one looked, and its plan is refused all the same
                for late in (
                    partial(ask, "apply", plan=up, options=OPTIONS, number=lost),
                    partial(ask, "confirm", number=lost + 1),
                ):
                    with pytest.raises(Refused, match=f"number {lost + 2} was begun.*shop 2 → 1, by uid") as refusal:
                        late()
                    assert [d.code for d in refusal.value.diagnostics] == ["late_request"]
                for junk in (True, "2", [2], 2.0):
                    with pytest.raises(RelupError, match="no number of an upgrade"):
                        ask("confirm", number=junk)
                assert ask("confirm", number=lost + 2)["release"] == "shop 1"
                found = ask("status")
                assert found["number"] == lost + 2
                assert f"  number     {lost + 2}, of the upgrade that was begun last" in list(status_lines(found))

            await asyncio.to_thread(controllers)
            numbers = [e["number"] for e in service.handler.history() if "number" in e]
            assert numbers == [1, 1, 2, 2]
        async with running(tmp_path / "1", home) as service:
            assert service.handler.number == 2

    asyncio.run(scenario())


def test_a_plan_whose_base_is_not_what_runs_is_refused_and_names_what_differs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = read_release(shop(tmp_path / "2", "2", appup(UPDATE)))
            worker = tmp_path / "1" / "shop" / "worker.py"
            worker.write_text(worker.read_text() + "\nadded = True\n")
            edited = plan(read_release(tmp_path / "1"), goal)
            with pytest.raises(Refused) as refusal:
                await service.handler.install(edited, owner="a test", emit=lambda event: None, options=Options())
            assert [(d.code, "'shop.worker'" in d.message) for d in refusal.value.diagnostics] == [("stale_base", True)]
            assert service.handler.number == 0

    asyncio.run(scenario())


def test_what_was_taken_back_leaves_to_be_confirmed_what_was_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            await apply(service, shop(tmp_path / "2", "2", appup(UPDATE)))
            text = appup(UPDATE).replace('"1"', '"2"').replace('vsn: "2"', 'vsn: "3"', 1)
            third = changed(tmp_path / "3", "raise ValueError", UPDATE)
            for file, old in (("release.yaml", '"2"'), ("shop.appup.yaml", "")):
                path = third / file
                path.write_text(path.read_text().replace(old, '"3"') if old else text)
            assert (await apply(service, third)).status == "rolled_back"
            assert service.handler.number == 2
            with pytest.raises(Refused, match="belongs to number 0"):
                await service.handler.confirm("a test", number=0)
            assert (await service.handler.confirm("a test", number=1))["was_provisional"]

    asyncio.run(scenario())


def test_what_touches_nothing_leaves_its_number_to_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = read_release(shop(tmp_path / "2", "2", appup(UPDATE)))
            relup = plan(read_release(tmp_path / "1"), goal)
            install = partial(service.handler.install, owner="a test", emit=lambda event: None)
            assert (await install(relup, options=Options(dry_run=True), number=0)).status == "ready"
            assert (await install(relup, options=Options(), number=0)).status == "done"
            assert service.handler.number == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "way_back", "installed"),
    [
        ("1 2 3", "1 2", "1 2 3"),
        ("1 2 3 2", "1", "1 2 3"),
        ("1 2 3 2 1", "", "1 2 3"),
        ("1 2 3 1 3", "1", "1 2 3"),
        ("1 2 1 4", "1", "1 2 4"),
        ("1 1", "", "1"),
    ],
)
def test_a_downgrade_leads_to_what_was_upgraded_from(path: str, way_back: str, installed: str) -> None:
    of = {i.vsn: i for i in (A, B, C, D)}
    first, *rest = (of[vsn] for vsn in path.split())
    records = Records.first(first).along(rest)
    assert [i.vsn for i in records.way_back] == way_back.split()
    assert [i.vsn for i in records.installed] == installed.split()
    assert records.permanent == first
    assert records_from_bytes(records_to_bytes(records)) == records


def test_a_release_that_was_left_is_not_booted_again_by_a_restart_that_names_it(tmp_path: Path) -> None:
    folders = [shop(tmp_path / "1", "1"), shop(tmp_path / "2", "2", appup(UPDATE))]
    home = tmp_path / "home"

    async def scenario() -> None:
        async with running(folders[0], home) as service:
            await apply(service, folders[1])
            await service.handler.confirm("a test")
            await apply(service, folders[0], "down")
            await service.handler.confirm("a test")
        async with running(folders[1], home) as service:
            assert service.handler.running.vsn == "1"
            assert service.note is not None

    asyncio.run(scenario())


def test_a_record_of_an_earlier_home_is_read(tmp_path: Path) -> None:
    one, two, three = ({"name": "shop", "vsn": vsn, "root": f"/srv/{vsn}"} for vsn in "123")
    document = {"permanent": one, "current": two, "installed": [one, two, three]}
    home = Home(tmp_path, "shop", NO_HURRY)
    line = {"at": 1.0, "what": "start", "who": "uid 0", "release": "shop 1"}
    files = {"releases.json": json.dumps(document, indent=1), "history.jsonl": json.dumps(line) + "\n"}
    lay_out({name: text.encode() for name, text in files.items()}, home.path)
    assert home.records() == Records(A, B, (A, B, C), (A,))
    home.append(line)
    assert home.history() == [line, line]


def test_whatever_became_of_the_record_the_history_tells_what_is_permanent(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    files = next(step.files for step in recording.steps if step.going_on == "after 2: fails")
    whole, given = files["releases.json"], read_release(tmp_path / "1")
    flipped = [whole[:n] + bytes([whole[n] ^ 4]) + whole[n + 1 :] for n in range(0, len(whole) - 1, 29)]
    for content in [*(whole[:n] for n in range(0, len(whole) - 1, 29)), *flipped, None]:
        left = {name: text for name, text in files.items() if name != "releases.json"}
        home = Home(tmp_path / "again", "shop", NO_HURRY)
        lay_out(left | ({} if content is None else {"releases.json": content}), home.path)
        found = look_back(home, None)
        booted, _, _ = choose(given, found.records, read_release, as_given=False)
        assert booted.vsn == "2"
        damage = "is gone" if content is None else "is damaged"
        told = f"found: the record of releases {damage}, the history tells that shop 2 is permanent"
        assert found.in_words() == told
        for path in home.path.iterdir():
            path.unlink()
        home.path.rmdir()


def test_what_a_crash_left_half_unpacked_or_half_removed_is_removed(tmp_path: Path) -> None:
    home = Home(tmp_path, "shop", NO_HURRY)
    home.create()
    for name in (".unfinished-x/shop", ".removed-shop-1-0/shop", "shop-2-0/shop"):
        (home.releases / name).mkdir(parents=True)
    for name in ("releases.new", "releases.before"):
        (home.path / name).write_bytes(b"")
    assert look_back(home, "4711").in_words() == (
        "found: the node was killed (pid 4711); removed what was left half done: "
        "releases.before, releases.new, .removed-shop-1-0, .unfinished-x"
    )
    assert [p.name for p in home.releases.iterdir()] == ["shop-2-0"]


def test_what_of_a_history_cannot_be_read_is_shown_in_its_place(tmp_path: Path) -> None:
    home = Home(tmp_path, "shop", NO_HURRY)
    home.create()
    entry = {"at": 1.0, "what": "start", "who": "uid 0", "release": "shop 1"}
    odd: list[dict[str, object]] = [{**entry, "at": 1e300}, {**entry, "outcome": "done"}, {**entry, "who": 3}]
    for each in (entry, *odd, {**entry, "what": "confirm"}):
        home.append(each)
    with (home.path / "history.jsonl").open("ab") as file:
        file.write(b'[12,"01234567')
    lines = list(history_lines(home.history()))
    assert [line.split("  ", 1)[1].split(" ")[0] for line in lines] == [
        "start",
        "left",
        "left",
        "left",
        "confirm",
        "left",
    ]
    before = len((home.path / "history.jsonl").read_bytes()) - 13
    assert lines[-1].endswith(f"left out: 13 bytes from byte {before} on (cut)")


def test_the_record_that_is_written_last_is_the_one_that_counts(tmp_path: Path) -> None:
    home = Home(tmp_path, "shop")
    home.create()
    records = Records.first(A)
    for release in (B, C, B):
        records = replace(records.running(release), number=records.number + 1)
        home.write(records)
        assert home.records() == records
    assert sorted(p.name for p in home.path.iterdir()) == ["releases.json"]
