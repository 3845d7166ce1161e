"""A state that does not come back is found, shown as small as it can be, with the place of the difference."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.testing import RoundTripFailed, assert_round_trip
from tests.testing import program

STATES = st.fixed_dictionaries({"total": st.integers()}, optional={"told": st.lists(st.integers())})
FEW = settings(max_examples=40, deadline=None, database=None, derandomize=True)
BACK = 'return {key: value for key, value in state.items() if key != "by"}'
CASES = {
    "it comes back": (program.NEW, {}, None),
    "something is lost": (
        program.NEW.replace('!= "by"', 'not in ("by", "told")'),
        {},
        r"another state[^\n]*\n  - state\['told'\]: \[\]\n.*\{'total': 0, 'told': \[\], 'by': 1\}\n"
        r".*smallest state found: \{'total': 0, 'told': \[\]\}",
    ),
    "something may be lost": (
        program.NEW.replace('!= "by"', 'not in ("by", "told")'),
        {"lossy": lambda state: state["total"]},
        None,
    ),
    "it is the same for somebody": (
        program.NEW.replace('!= "by"', 'not in ("by", "told")'),
        {"same": lambda before, after: before["total"] == after["total"]},
        None,
    ),
    "the way up raises": (
        program.NEW.replace('{**state, "by": 1}', '{**state, "by": 1 // (state["total"] < 6)}'),
        {},
        r"raises on the way up\n  ZeroDivisionError: .*tally.py:\d+\)\n.*\{'total': 6\}",
    ),
    "the way down raises": (
        program.NEW.replace(BACK, 'raise KeyError("by")'),
        {},
        "raises on the way down\n  KeyError",
    ),
    "it changes what it is given": (
        program.NEW.replace('return {**state, "by": 1}', "state['by'] = 1; return state"),
        {},
        r"changes in place what it is given, on the way up\n  \+ state\['by'\]: 1\n.*may_mutate",
    ),
    "it may change what it is given": (
        program.NEW.replace('return {**state, "by": 1}', "state['by'] = 1; return state"),
        {"may_mutate": True},
        None,
    ),
    "it misses a return": (
        program.NEW.replace('return {**state, "by": 1}', "{**state, 'by': 1}"),
        {},
        "returns no state on the way up\n  it returns None",
    ),
    "it exits": (
        program.NEW.replace('return {**state, "by": 1}', "raise SystemExit(3)"),
        {},
        r"raises on the way up\n  SystemExit: 3 \(.*tally.py:\d+\)",
    ),
    "it is async and exits": (
        program.NEW.replace(BACK, "raise SystemExit(3)").replace("def code_change", "async def code_change"),
        {},
        r"raises on the way down\n  SystemExit: 3 \(.*tally.py:\d+\)",
    ),
    "it is async": (program.NEW.replace("def code_change", "async def code_change"), {}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_state_comes_back_or_it_is_told_why_not(tmp_path: Path, case: str) -> None:
    tally, options, told = CASES[case]
    old, new = program.old(tmp_path / "1"), program.new(tmp_path / "2", tally)
    if told is None:
        assert_round_trip(STATES, old, new, "shop.tally", settings=FEW, **options)
        return
    with pytest.raises(RoundTripFailed, match=rf"(?s)shop.tally:Tally of shop 1 → 2: .*{told}") as raised:
        assert_round_trip(STATES, old, new, "shop.tally:Tally", settings=FEW, **options)
    assert "raises" not in told or isinstance(raised.value.__cause__, ZeroDivisionError | KeyError | SystemExit)


SHORT = program.APPUP.replace("advanced}}", "advanced, timeout: 300}}")
AT = r"it was at [^\n]*\(tally\.py:\d+\)\nthe state: "
IN_TIME = rf"did not return within 0\.3 s and was interrupted: {AT}"


@pytest.mark.parametrize(
    ("change", "body", "told"),
    [
        ("def", "time.sleep(1000)", IN_TIME),
        ("def", "while True: pass", IN_TIME),
        ("async def", "await asyncio.sleep(1000)", rf"did not end within 0\.3 s: {AT}"),
        ("async def", "while True: pass", IN_TIME),
    ],
)
def test_a_code_change_that_does_not_come_back_is_interrupted(
    tmp_path: Path, change: str, body: str, told: str
) -> None:
    tally = program.NEW.replace('return {**state, "by": 1}', body).replace("def code_change", f"{change} code_change")
    tally = tally.replace("    from relup", "    import asyncio, time\n    from relup", 1)
    old, new = program.old(tmp_path / "1"), program.new(tmp_path / "2", tally, SHORT)
    with pytest.raises(RoundTripFailed, match=rf"does not come back on the way up\n  {told}"):
        assert_round_trip(STATES, old, new, "shop.tally", settings=FEW)


def test_one_that_cannot_be_interrupted_is_left_with_the_place_at_which_it_is(tmp_path: Path) -> None:
    ending = threading.Event()
    tally = program.NEW.replace('{**state, "by": 1}', 'state["told"].wait()')
    tally = tally.replace("def code_change", "async def code_change")
    old = program.old(tmp_path / "1", "left")
    new = program.new(tmp_path / "2", tally, SHORT, name="left")
    states = st.fixed_dictionaries({"told": st.just(ending)})
    with pytest.raises(RoundTripFailed, match=r"not return within 0\.3 s and does not end: it is at .*tally\.py:\d+\)"):
        assert_round_trip(states, old, new, "left.tally", settings=FEW)
    ending.set()


MODEL = """
    from dataclasses import dataclass
    @dataclass
    class Row:
        n: int
"""


def test_an_instance_of_the_newer_release_is_no_state_of_the_older(tmp_path: Path) -> None:
    tally = program.OLD + "\n        def code_change(self, old_vsn, state, extra):\n            return Row(state.n)\n"
    tally = tally.replace("    from relup", "    from shop.model import Row\n    from relup", 1)
    appup = program.APPUP.replace(
        "advanced}}", "advanced, depends: [shop.model]}}\n          - load_module: shop.model"
    )
    old, new = program.old(tmp_path / "1"), program.new(tmp_path / "2", tally, appup)
    for release in (old, new):
        (release / "shop" / "model.py").write_text(f"# {release.name}" + program.dedent(MODEL))
    (old / "shop" / "tally.py").write_text(
        program.dedent(program.OLD).replace("from relup", "import shop.model\nfrom relup", 1)
    )

    def rows() -> Any:
        from shop.model import Row  # type: ignore[import-not-found]

        return st.builds(Row, st.integers())

    with pytest.raises(RoundTripFailed, match=r"state: a shop\.model\.Row → a shop\.model\.Row of another version"):
        assert_round_trip(rows, old, new, "shop.tally", settings=settings(FEW, phases=[Phase.generate]))


@pytest.mark.parametrize("migrated", [False, True])
def test_a_state_that_goes_on_with_instances_of_a_class_that_was_replaced_is_found(
    tmp_path: Path, migrated: bool
) -> None:
    load = "{{module: shop.model, instances: {{Row: turn}}}}" if migrated else "shop.model"
    appup = program.APPUP.replace("advanced}}", f"advanced}}}}\n          - load_module: {load}")
    old, new = program.old(tmp_path / "1"), program.new(tmp_path / "2", appup=appup)
    tally = program.OLD.replace("from relup", "import shop.model\n    from relup", 1)
    newer = MODEL + "        colour: str = 'red'\n    def turn(row):\n        return vars(row)\n"
    for release, model in ((old, MODEL), (new, newer)):
        (release / "shop" / "model.py").write_text(program.dedent(model))
        (release / "shop" / "tally.py").write_text(program.dedent(tally))

    def rows() -> Any:
        from shop.model import Row

        return st.fixed_dictionaries({"total": st.builds(Row, st.integers())})

    if migrated:
        assert_round_trip(rows, old, new, "shop.tally", settings=FEW)
        return
    told = r"holds an instance of shop\.model:Row, in state\['total'\]"
    with pytest.raises(RoundTripFailed, match=rf"leaves objects of replaced code on the way up\n  .*{told}"):
        assert_round_trip(rows, old, new, "shop.tally", settings=FEW)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    old, new = program.old(tmp_path / "1"), program.new(tmp_path / "2")
    soft = program.new(tmp_path / "soft", appup=program.APPUP.replace(", change: advanced", ""))
    one_way = program.new(tmp_path / "one_way", appup=program.APPUP.partition("    down:")[0] + "    down: []\n")
    for server, release, told in (
        ("shop.nothing", new, "has no module 'shop.nothing': it has shop"),
        ("shop.tally:Top", new, "has no server 'Top': say module:Class, of Tally"),
        ("shop.app", new, "has 0 servers"),
        ("shop.tally", soft, "no code_change of shop.tally on the way up and down"),
        ("shop.tally", one_way, "no code_change of shop.tally on the way down"),
    ):
        with pytest.raises(InvalidInput, match=told):
            assert_round_trip(STATES, old, release, server)
    for strategy, told in (
        (None, "a strategy of hypothesis, or a function that returns one, is needed, not None"),
        (lambda: 3, "<lambda> returns 3, which is no strategy"),
    ):
        with pytest.raises(InvalidInput, match=told):
            assert_round_trip(strategy, old, new, "shop.tally")  # type: ignore[arg-type]  # as some test does
    for argument, told in (
        ({"server": None}, "a server is module:Class, a module or a registered name, not None"),
        ({"settings": 5}, "settings are hypothesis.settings(…), not 5"),
        ({"lossy": 5}, "lossy is a function, not 5"),
        ({"same": 5}, "same is a function, not 5"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(told)):
            assert_round_trip(STATES, old, new, **{"server": "shop.tally", **argument})  # type: ignore[arg-type]  # as some test does
    with pytest.raises(InvalidInput, match="the names that it gives to processes are top"):
        assert_round_trip(STATES, old, new, "tale")
