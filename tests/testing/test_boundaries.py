"""A user's tests are run with an upgrade at each message boundary: what differs is told, and what was not tried."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from relup.testing.prints import Printer
from relup.testing.seen import Boundary, Seen, alike
from relup.testing.shapes import shape
from relup.testing.telling import BUDGET, told_state
from tests.testing import program

pytest_plugins = "pytester"

TESTS = """
    import threading
    import pytest
    pytestmark = pytest.mark.relup(upgrade="2", server="tally")

    def test_adds(relup_node):
        node = relup_node.start("1")
        for n in range(1, 4):
            assert node.call("tally", ("add", 1)) == n

    def test_reads(relup_node):
        node = relup_node.start("1")
        node.call("tally", ("add", 5))
        for _ in range(6):
            assert node.call("tally", "total") == 5

    def test_there_and_back(relup_node):
        node = relup_node.start("1")
        for n in (1, -1, 1, -1, 1):
            node.call("tally", ("add", n))
            node.call("tally", "total")

    def test_casts(relup_node):
        node = relup_node.start("1")
        node.call("other", ("add", 1))
        node.cast("tally", "double")
        node.send("tally", "hello")
        node.call("other", ("ask", "tally"))
        node.settle()
        assert node.state("tally")["total"] == 0

    def test_what_a_class_holds(relup_node):
        node = relup_node.start("1")
        for _ in range(3):
            node.cast("tally", "count")

    def test_a_lock_in_the_state(relup_node):
        node = relup_node.start("1")
        node.send("tally", threading.Lock())
        for _ in range(2):
            node.call("tally", "total")

    @pytest.mark.parametrize("count", [1, 2])
    class TestInAClass:
        def test_twice(self, relup_node, count):
            for _ in range(count):
                with relup_node.start("1") as node:
                    assert node.call("tally", ("add", 1)) == 1

    @pytest.mark.relup(upgrade="2", server="shop.tally")
    def test_two_servers_of_a_module(relup_node):
        node = relup_node.start("1")
        node.call("tally", ("add", 1))
        node.call("other", ("add", 2))

    @pytest.mark.relup(upgrade="wrong", server="tally")
    def test_adds_wrongly(relup_node):
        node = relup_node.start("1")
        for n in range(1, 6):
            assert node.call("tally", ("add", 1)) == n

    @pytest.mark.relup(upgrade="raises", server="tally")
    def test_upgrade_fails(relup_node):
        node = relup_node.start("1")
        for _ in range(3):
            node.call("tally", ("add", 1))
"""
OTHERS = """
    import pytest
    RUNS = []
    MORE_RUNS = []

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_leaves_something_behind(relup_node):
        RUNS.append(1)
        relup_node.start("1").call("tally", "total")
        assert len(RUNS) == 1

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_fails_once(relup_node):
        MORE_RUNS.append(1)
        relup_node.start("1").call("tally", "total")
        assert len(MORE_RUNS) != 2

    @pytest.mark.relup(upgrade="forgotten", server="tally")
    def test_version_is_forgotten(relup_node):
        relup_node.start("1").call("tally", "total")

    @pytest.mark.relup(upgrade="wayless", server="tally")
    def test_no_appup(relup_node):
        relup_node.start("1").call("tally", "total")

    def test_name_that_nobody_has(relup_node):
        relup_node.start("1").state("tale")

    def test_end_that_no_upgrade_has(relup_node):
        relup_node.start("1").upgrade("2", expect="roled_back")

    def test_node_that_was_stopped(relup_node):
        with relup_node.start("1") as node:
            pass
        node.settle()

    def test_no_release(relup_node):
        relup_node.start(None)

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_never_reaches_it(relup_node):
        relup_node.start("1").call("other", "total")

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_starts_nothing(relup_node):
        pass

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_starts_what_it_would_be_upgraded_to(relup_node):
        relup_node.start("2").call("tally", "total")

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_upgrades_itself(relup_node):
        node = relup_node.start("1")
        node.call("tally", "total")
        node.upgrade("2")

    def test_is_not_marked(relup_node):
        relup_node.start("1")

    def test_has_no_node():
        pass

    @pytest.mark.relup(upgrade="2", server="tale")
    def test_unknown_server(relup_node):
        relup_node.start("1").call("tally", "total")

    @pytest.mark.relup(upgrade="3", server="tally")
    def test_missing_release(relup_node):
        relup_node.start("1")

    @pytest.mark.relup(server="tally")
    def test_without_upgrade(relup_node):
        relup_node.start("1")

    @pytest.mark.relup(upgrade="2")
    def test_without_server(relup_node):
        relup_node.start("1")

    @pytest.mark.relup("2", "tally")
    def test_without_names(relup_node):
        relup_node.start("1")

    @pytest.mark.relup(upgrade="2", server="tally")
    def test_fails_anyway(relup_node):
        assert relup_node.start("1").call("tally", ("add", 1)) == 2
"""


def run(pytester: pytest.Pytester, tests: str, *options: str, every: bool = True) -> pytest.RunResult:
    """Run tests of a program, in a process that ends with them and need not compile all that it imports."""
    pytester._monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    program.old(pytester.path / "1")
    program.new(pytester.path / "2")
    program.new(pytester.path / "wrong", program.WRONG_AT_3)
    program.new(pytester.path / "raises", program.RAISES_AT_2)
    (program.new(pytester.path / "wayless") / "shop.appup.yaml").unlink()
    program.old(pytester.path / "forgotten", change="# other code")
    pytester.makepyfile(program.dedent(tests))
    at_every = ["--relup-at-every-boundary"] if every else []
    return pytester.runpytest_subprocess("-Werror", "-p", "no:cacheprovider", *at_every, *options)


def said(result: pytest.RunResult) -> dict[str, str]:
    """Return what the summary says of each test."""
    found = (re.fullmatch(r"test_\w+\.py::([\w:\[\]]+): (.*)", line) for line in result.outlines)
    return {match[1]: match[2] for match in found if match}


def no_difference(boundaries: int, groups: int) -> str:
    return f"{boundaries} boundaries in {groups} groups, {groups} upgrades: no difference"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("add", 1), ("add", 2), True),
        (("add", 1), ("sub", 1), False),
        (("add", 1), ("add", "1"), False),
        ("total", "other", False),
        ({"a": 1}, {"b": 2, "c": 3}, True),
        ({"a": 1}, {"a": None}, False),
        ([1, 2], [3], True),
        ([1], [], False),
    ],
)
def test_what_looks_alike_has_one_shape(one: object, other: object, same: bool) -> None:
    assert (shape(one) == shape(other)) is same


def test_a_state_that_is_too_long_is_told_by_its_elements_each_of_them_whole() -> None:
    short = Seen(said=["five" * 30], state="six")
    assert told_state(short) == repr(short)
    boundaries = [Boundary(n, "tally", "a message" * 3) for n in range(50)]
    text = told_state({"rows": Seen(boundaries), "other": 7})
    assert len(text) <= BUDGET
    assert f"{boundaries[2]!r}, ...]" in text
    assert text.startswith("{'other': 7, 'rows': Seen(")


def test_one_of_each_group_is_tried_and_the_first_boundary_that_differs_is_told(pytester: pytest.Pytester) -> None:
    result = run(pytester, TESTS)
    result.assert_outcomes(passed=9, failed=2)
    where = "before the call ('add', 1) to 'tally', whose state is"
    assert said(result) == {
        "test_adds": no_difference(4, 4),
        "test_reads": no_difference(8, 3),
        "test_there_and_back": no_difference(11, 3),
        "test_casts": no_difference(4, 3),
        "test_what_a_class_holds": no_difference(4, 4),
        "test_a_lock_in_the_state": no_difference(4, 4),
        "TestInAClass::test_twice[1]": no_difference(2, 2),
        "TestInAClass::test_twice[2]": no_difference(3, 3),
        "test_two_servers_of_a_module": no_difference(3, 3),
        "test_adds_wrongly": f"the first that differs is boundary 4 of 6, {where} {{'total': 3}}: upgraded to shop 2 "
        "there, the test fails in its call",
        "test_upgrade_fails": f"the first that differs is boundary 3 of 4, {where} {{'total': 2}}: upgrading to shop 2 "
        "there does not succeed",
    }
    result.stdout.fnmatch_lines(
        [
            "*assert 5 == 4*",
            "*ZeroDivisionError*tally.py:*",
            "*rolled back: every process runs 1 with the state it had",
            "FAILED *test_adds_wrongly*",
        ],
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_run_in_which_nothing_was_tried_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, OTHERS, "-k", "starts_nothing or leaves_something")
    result.assert_outcomes(skipped=2, deselected=18)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["nothing was tried: this run says nothing about upgrades"])


def test_what_could_not_be_tried_and_what_is_used_wrongly_is_told(pytester: pytest.Pytester) -> None:
    result = run(pytester, OTHERS)
    result.assert_outcomes(passed=1, skipped=6, failed=13)
    found = said(result)
    assert found.pop("test_missing_release").endswith("[no_such_release]")
    assert "shop 1 cannot be upgraded to wayless: " in (wayless := found.pop("test_no_appup"))
    assert wayless.endswith("[no_relup]")
    unmarked = "has no marker relup, and no option says what to try, so it ran as it is"
    assert found == {
        "test_leaves_something_behind": "does not pass twice in one process, so nothing can be said of upgrades: "
        "it fails in its call: assert 3 == 1",
        "test_fails_once": "the first that differs is boundary 1 of 2, before the call 'total' to 'tally', whose state "
        "is {'total': 0}: upgraded to shop 2 there, the test fails in its call; not reproducible: it did not when the "
        "same was tried again",
        "test_version_is_forgotten": "forgotten is also shop 1: was its vsn forgotten?",
        **dict.fromkeys(
            (
                "test_name_that_nobody_has",
                "test_end_that_no_upgrade_has",
                "test_node_that_was_stopped",
                "test_no_release",
                "test_is_not_marked",
            ),
            unmarked,
        ),
        "test_never_reaches_it": "sends no message to 'tally', so nothing was tried",
        "test_starts_nothing": "starts no node, so nothing was tried",
        "test_starts_what_it_would_be_upgraded_to": "starts shop 2, which shop 2 is no upgrade of, "
        "so nothing was tried",
        "test_upgrades_itself": "upgrades its node itself, so it ran as it is",
        "test_unknown_server": "no process of the test's nodes is called 'tale', or of that class: there are "
        "other, shop.app:Top, shop.tally:Tally, tally, top",
        "test_without_upgrade": "upgrade= of the marker relup, or --relup-upgrade, is missing",
        "test_without_server": "server= of the marker relup, or --relup-server, is missing",
        "test_without_names": "the marker is relup(upgrade=RELEASE, server=NAME)",
        "test_fails_anyway": "is not passed as it is, so nothing was tried",
    }
    result.stdout.no_fnmatch_line("*relup/testing*")
    result.stdout.no_fnmatch_line("*relup/runtime*")
    result.stdout.fnmatch_lines(
        [
            "E *no process is named 'tale': there are other, tally, top",
            "E *an upgrade ends 'done', 'rolled_back', 'refused': expect='roled_back' never comes*",
            "E *this node was stopped",
            "E *a release is a path, not None*",
        ]
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--relup-at-every-boundary", "--relup-upgrade", "3"], "--relup-upgrade 3: *there is no release '3'*"),
        (["--relup-server", "tally"], "--relup-server mean* nothing without --relup-at-every-boundary"),
    ],
)
def test_options_that_mean_nothing_are_refused(pytester: pytest.Pytester, options: list[str], told: str) -> None:
    result = run(pytester, TESTS, *options, every=False)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])


def test_options_stand_for_the_marker_and_say_that_all_are_tried_also_with_workers(pytester: pytest.Pytester) -> None:
    tests = TESTS.replace("pytestmark", "unused")
    options = ("--relup-upgrade", "2", "--relup-server", "shop.tally:Tally", "--relup-boundaries", "all", "-n1")
    result = run(pytester, tests, "-k", "casts or InAClass", *options)
    result.assert_outcomes(passed=3)
    assert said(result) == {
        "test_casts": no_difference(6, 6),
        "TestInAClass::test_twice[1]": no_difference(2, 2),
        "TestInAClass::test_twice[2]": no_difference(3, 3),
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": [1, (2,)]}, {"a": [1, (2,)]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1], [True], False),
        ([1], (1,), False),
        ({1, 2}, {2, 1}, True),
        ([[1], 2], [[1, 2]], False),
        (Decimal(1), Decimal(1), True),
        (Fraction(1), Fraction(2), False),
        (threading.Lock(), threading.Lock(), False),
        (Seen(), Seen(), True),
        (Seen(), Seen(state="x"), False),
        (len, len, True),
    ],
)
def test_prints_are_equal_where_nothing_is_different(one: object, other: object, same: bool) -> None:
    printer = Printer(lambda kind: kind.__module__ == __name__, within_run=False)
    assert (printer.print(one) == printer.print(other)) is same
    circle: list[object] = [one]
    circle.append(circle)
    assert printer.print(circle) != printer.print([one])


def seen(nodes: Iterable[str], said: Iterable[str]) -> Seen:
    boundaries = [Boundary(n, "tally", "m", node=node, heard=n - 1) for n, node in enumerate(nodes, start=1)]
    return Seen(boundaries, list(said))


@pytest.mark.parametrize(
    ("plain", "run", "same"),
    [
        (seen("aab", "xyz"), seen("AAB", "xyz"), True),
        (seen("abb", "xyz"), seen("AAB", "xyz"), False),
        (seen("aab", "xyz"), seen("ABB", "xyz"), False),
        (seen("aab", "xyz"), seen("AAB", "xYz"), False),
        (seen("aab", "xyz"), seen("AAB", "Xyz"), False),
        (seen("aab", "xyz"), seen("A", "x"), False),
        (seen("aab", "xyz"), seen("AAB", "xyZ"), True),
    ],
)
def test_boundaries_are_alike_where_the_node_is_the_same_in_both_runs_and_so_is_what_was_said(
    plain: Seen, run: Seen, same: bool
) -> None:
    assert alike(plain, run, 1, 2) is same


def test_the_tests_of_the_example_are_run_with_upgrades_too(pytester: pytest.Pytester) -> None:
    tests = Path(__file__).parents[2] / "examples" / "accounts" / "tests" / "test_service.py"
    result = pytester.runpytest_subprocess(str(tests), "-p", "no:cacheprovider", "--relup-at-every-boundary")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_a_deposit_is_on_the_account: 6 boundaries*no difference"])
