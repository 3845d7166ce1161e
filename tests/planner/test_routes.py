"""Routes over several releases: the cheapest is found, ties and gaps are explained, wrong ways are not taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import Diagnostic, InvalidInput, RelupError
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.versions import natural
from relup.planner import Cost, find_route, hop_cost, plan, route_cost
from relup.planner.ways import Way, Ways
from tests.planner.build import app, appup, at, release
from tests.planner.versions import WAYS, versions


def path(route: Route) -> str:
    return " ".join((route.base.vsn, *(hop.goal.vsn for hop in route.hops)))


def said(route: Route) -> list[str]:
    return [d.code for d in route.warnings]


def found(ways: str, base: str, goal: str, **rest: Any) -> Route:
    known = {vsn: replace(r, location=at(1, f"{vsn}/release.yaml")) for vsn, r in versions(ways).items()}
    return find_route(known[base], known[goal], known.values(), **rest)


def refusal(ways: str, base: str, goal: str, **rest: Any) -> RelupError:
    with pytest.raises(RelupError) as error:
        found(ways, base, goal, **rest)
    return error.value


# ── which route ────────────────────────────────────────────────────────────────────────────────────────

CHAIN = "1~2 2~3 3~4"
FORK = "1+2.9 1+2.10 2.9+3 2.10+3"


@pytest.mark.parametrize(
    ("ways", "base", "goal", "rest", "expected", "codes"),
    [
        pytest.param("1+2", "1", "2", {}, "1 2", [], id="one hop is the plan and nothing is said"),
        pytest.param("1+2 2+3 1+3=restart", "1", "3", {}, "1 3", [], id="a direct entry is taken whatever it costs"),
        pytest.param(CHAIN, "1", "4", {}, "1 2 3 4", ["route"], id="up over everything in between"),
        pytest.param(CHAIN, "4", "1", {}, "4 3 2 1", ["route"], id="down over everything in between"),
        pytest.param(CHAIN, "4", "1", {"direction": "down"}, "4 3 2 1", ["route"], id="down because it is said"),
        pytest.param("1+2 2+3=two 2+4 4+5 3+5", "1", "5", {}, "1 2 4 5", ["route"], id="fewer modules stand still"),
        pytest.param(
            "1~2=load 2~3=load 3~5=load 1~4=one 4~5=load", "1", "5", {}, "1 2 3 5", ["route"], id="not the fewest hops"
        ),
        pytest.param(
            "1~2=call 2~5=load 1~3=two 3~4=two 4~5=two",
            "1",
            "5",
            {},
            "1 3 4 5",
            ["route"],
            id="one lossy step outweighs any number of modules",
        ),
        pytest.param("1+3.2 3.2+4 1~3 3~4", "1", "4", {}, "1 3 4", ["route"], id="a way back is worth something"),
        pytest.param(FORK, "1", "3", {}, "1 2.10 3", ["route", "route_tie"], id="of equals the newer versions"),
        pytest.param(FORK, "1", "3", {"via": ["2.9"]}, "1 2.9 3", ["route"], id="via decides a tie"),
        pytest.param("1+3 1+2 2+3", "1", "3", {"via": ["2"]}, "1 2 3", ["route"], id="via outweighs a direct entry"),
        pytest.param(CHAIN, "1", "3", {"via": ["1", "2", "2", "3"]}, "1 2 3", ["route"], id="via may name its ends"),
        pytest.param("1+3 3-2 2+4", "1", "4", {}, "1 3 2 4", ["route", "route_mixed"], id="mixed if nothing else"),
        pytest.param(
            "1+3=load 3-2=load 2+5=load 1+4=restart 4+5=restart", "1", "5", {}, "1 4 5", ["route"], id="never mixed"
        ),
        pytest.param(
            "1+2=wrong 2+4 1+3=two 3+4", "1", "4", {}, "1 3 4", ["route", "ways_left_out"], id="wrong ways are left out"
        ),
        pytest.param(
            "1+3=wrong 1+2 2+3",
            "1",
            "3",
            {"via": ["2"]},
            "1 2 3",
            ["route", "ways_left_out"],
            id="via leads past a wrong entry",
        ),
        pytest.param("2+1 1+0", "2", "0", {}, "2 1 0", ["route"], id="what is up is the appups' business"),
    ],
)
def test_the_route_is(ways: str, base: str, goal: str, rest: dict[str, Any], expected: str, codes: list[str]) -> None:
    route = found(ways, base, goal, **rest)
    assert (path(route), said(route)) == (expected, codes)
    assert all(one.goal == two.base for one, two in pairwise(route.hops))
    assert len({hop.direction for hop in route.hops}) == 1 + ("route_mixed" in codes)


def test_each_hop_is_the_plan_between_its_ends() -> None:
    known = versions(CHAIN)
    route = find_route(known["1"], known["3"], known.values())
    assert route.hops == (plan(known["1"], known["2"]), plan(known["2"], known["3"]))


def test_a_route_says_why_it_is_needed_and_what_it_costs() -> None:
    (note,) = found(CHAIN, "4", "1").warnings
    assert str(note) == (
        "note: no appup entry takes shop 4 → 1: shop.appup.yaml has down entries to 3; "
        "the cheapest route is shop 4 → 3 → 2 → 1: 3 module(s) suspended [route]"
    )


def test_a_tie_names_the_other_routes_and_how_to_choose_them() -> None:
    _, tie = found(FORK, "1", "3").warnings
    assert str(tie) == (
        "note: 1 → 2.9 → 3 would cost the same; the one over newer versions is taken "
        "(--via 2.9 chooses 1 → 2.9 → 3) [route_tie]"
    )


def test_of_many_equal_routes_a_few_are_named() -> None:
    rungs = " ".join(f"{n}.{a}+{n + 1}.{b}" for n in range(1, 20) for a in range(4) for b in range(4))
    known = versions(f"{rungs} 0+1.0 0+1.1 20.0+99 20.1+99")
    route = find_route(known["0"], known["99"], known.values())
    assert path(route) == " ".join(["0", "1.1", *(f"{n}.3" for n in range(2, 20)), "20.1", "99"])
    message = route.warnings[1].message
    assert message.startswith("19.3 → 20.0 → 99, 18.3 → 19.2 → 20.1, 18.3 → 19.2 → 20.0 → 99 and others would")


def test_ways_left_out_are_named_with_what_is_wrong() -> None:
    left_out = found("1+2=wrong 2+4 1+3=two 3+4", "1", "4").warnings[-1]
    assert left_out.message == "left out, as their plans are wrong: 1 → 2 [changed_not_loaded]"
    assert left_out.severity == "warning"


def test_releases_of_other_names_and_kinds_are_on_no_route() -> None:
    known = versions(CHAIN)
    others = [replace(known["2"], name="other"), replace(known["3"], kind="beam")]
    assert path(find_route(known["1"], known["4"], [*others, *known.values()])) == "1 2 3 4"


def test_the_same_release_in_two_folders_counts_once() -> None:
    known = versions(CHAIN)
    again = [replace(r, root=f"/copies/{vsn}") for vsn, r in known.items()]
    route = find_route(known["1"], known["3"], [*again, *known.values()])
    assert (path(route), said(route), route.base.root, route.goal.root) == (
        "1 2 3",
        ["route"],
        "/releases/1",
        "/releases/3",
    )


def beside(ways: str, *vsns: str) -> list[Release]:
    """Releases of these versions that lie elsewhere and hold something else."""
    other = versions(ways)
    return [replace(other[vsn], root=f"/else/{vsn}") for vsn in vsns]


@pytest.mark.parametrize(
    ("ways", "via", "codes"),
    [
        pytest.param(CHAIN, [], ["no_relup", "ambiguous_release", "no_route"], id="which may be what is missing"),
        pytest.param(CHAIN, ["2"], ["no_relup", "ambiguous_release"], id="which is wanted"),
        pytest.param(f"{CHAIN} 1+3", ["2"], ["ambiguous_release"], id="which is wanted, beside a direct entry"),
    ],
)
def test_two_releases_of_one_version_are_told_apart_by_nobody(ways: str, via: list[str], codes: list[str]) -> None:
    known = versions(ways)
    with pytest.raises(InvalidInput) as error:
        find_route(known["1"], known["3"], [*known.values(), *beside("1+2=two 2+3", "2")], "up", via)
    assert [d.code for d in error.value.diagnostics] == codes
    assert "two different releases shop 2: one in /else/2, one in /releases/2" in str(error.value)


def test_neighbours_that_nobody_can_tell_apart_are_left_out_of_a_route_that_does_not_need_them() -> None:
    known = versions("1+2 2+3 1+2.5 2.5+3")
    route = find_route(known["1"], known["3"], [*known.values(), *beside("1+2=two", "2")])
    assert (path(route), said(route)) == ("1 2.5 3", ["route", "ambiguous_release"])
    assert route.warnings[1].message.startswith("left out: there are two different releases shop 2")
    assert route.warnings[1].severity == "warning"


def test_the_ends_of_a_route_win_over_neighbours_of_their_version() -> None:
    known = versions("1+2 2+3", "4")
    others = beside("1+3=two 3+4", "1", "3", "4")
    assert path(find_route(known["1"], known["3"], [*others[:2], *known.values()])) == "1 2 3"
    with pytest.raises(InvalidInput) as error:
        find_route(known["1"], known["4"], [others[0], others[2], *known.values()], "up")
    assert [d.code for d in error.value.diagnostics] == ["no_relup", "no_route"]


def test_two_ends_of_one_version_have_no_route_between_them() -> None:
    one = versions("1+2")["1"]
    goal = replace(one, applications=(replace(one.applications[0], vsn="1.5"),))
    with pytest.raises(InvalidInput) as error:
        find_route(one, goal, [one, goal], "up")
    assert [d.code for d in error.value.diagnostics] == ["no_relup", "ambiguous_release"]


def test_a_pair_is_planned_once() -> None:
    ways = Ways(versions(CHAIN).values())
    assert ways.plan(Way("1", "2", "up")) is ways.plan(Way("1", "2", "up"))


# ── costs ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "cost", "words"),
    [
        ("load", Cost(hops=1), "nothing suspended"),
        ("two", Cost(suspended=2, hops=1), "2 module(s) suspended"),
        ("call", Cost(lossy=1, hops=1), "1 lossy step(s)"),
        ("restart", Cost(lossy=1, hops=1), "1 lossy step(s)"),
    ],
)
def test_a_hop_costs(kind: str, cost: Cost, words: str) -> None:
    known = versions(f"1+2={kind} 2-1")
    hop = plan(known["1"], known["2"])
    assert (hop_cost(hop), str(hop_cost(hop))) == (cost, words)
    no_way_back = plan(versions(f"1+2={kind}")["1"], versions(f"1+2={kind}")["2"])
    assert hop_cost(no_way_back) == replace(cost, lossy=cost.lossy + 1)


def test_an_application_that_leaves_is_a_lossy_step() -> None:
    known = versions("1+2=load 2-1")
    gone = app("1", {"gone": "x"}, "gone")
    hop = plan(release("1", *known["1"].applications, gone), known["2"])
    assert hop_cost(hop) == Cost(lossy=1, hops=1)


def test_a_restart_outweighs_everything_else() -> None:
    assert Cost(restarts=1) > Cost(lossy=9, suspended=9, hops=9) > Cost(lossy=9, suspended=8, hops=99)


# ── no route ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ways", "base", "goal", "rest", "message"),
    [
        pytest.param(
            "1+2 3+4",
            "1",
            "4",
            {},
            "no route leads from 1 to 4 over 2, 3: from 1 the appups lead to 2; to 4 they lead from 3 "
            "(an `up` entry from 2 in the appup of shop 3 would close the gap) [no_route]",
            id="one entry is missing",
        ),
        pytest.param(
            "2-1 4-3",
            "4",
            "1",
            {},
            "no route leads from 4 to 1 over 2, 3: from 4 the appups lead to 3; to 1 they lead from 2 "
            "(a `down` entry to 2 in the appup of shop 3 would close the gap) [no_route]",
            id="one entry down",
        ),
        pytest.param(
            "1+2 2+3 3-2",
            "3",
            "1",
            {"direction": "down"},
            "from 3 the appups lead to 2; to 1 they lead from no other "
            "(a `down` entry to 1 in the appup of shop 2 would close the gap) [no_route]",
            id="nothing leads to the goal",
        ),
        pytest.param(
            "1+2 2+4 3+5",
            "1",
            "4",
            {"via": ["3"]},
            "no route leads from 1 to 3 over 2, 5: from 1 the appups lead to 2; to 3 they lead from no other "
            "(an `up` entry from 2 in the appup of shop 3 would close the gap) [no_route]",
            id="what is wanted on the way is not",
        ),
        pytest.param(
            "1~2 1~3 2~4 3~4",
            "1",
            "4",
            {"via": ["3", "2"]},
            "no route leads from 3 to 2: no other release may stand between them "
            "(a `down` entry to 2 in the appup of shop 3 would close the gap) [no_route]",
            id="what is known is at the ends",
        ),
        pytest.param(
            "1+2=typo 2+3",
            "1",
            "3",
            {},
            "3/release.yaml:1:3: no route leads from 1 to 3 over 2: from 1 the appups lead to no other; "
            "to 3 they lead from 2 [no_route]",
            id="nothing is missing, something is wrong",
        ),
    ],
)
def test_absence_is_explained(ways: str, base: str, goal: str, rest: dict[str, Any], message: str) -> None:
    assert message in str(refusal(ways, base, goal, **rest))


def test_absence_begins_with_the_entry_that_is_missing() -> None:
    error = refusal("1+2 3+4", "1", "4", direction="up")
    assert [(d.code, str(d.location)) for d in error.diagnostics] == [
        ("no_relup", "shop.appup.yaml:1:3"),
        ("no_route", "shop.appup.yaml:1:3"),
    ]


def test_ways_that_exist_and_are_wrong_are_told_once() -> None:
    error = refusal("1+2=typo 1+3=typo 2+4 3+4 2-1=typo", "1", "4")
    told = [d for d in error.diagnostics if "exists but is wrong" in d.message]
    assert [d.code for d in told] == ["no_such_module"]
    assert told[0].message.startswith("the way 1 → 2 exists but is wrong: load_module names module 'tilll'")


def two_applications(*vsns: str, bank: dict[str, str]) -> list[Release]:
    """Releases of shop, with a wrong entry 1+3, and of a bank whose version is another one."""
    known = versions("1+2 2+3 1+3=typo 3-1", "1 2 3")
    banks = {v: appup({k: [] for k in entries.split()}, {}, v, "bank") for v, entries in bank.items()}
    return [release(v, *known[v].applications, app(v, {"bank": ""}, "bank", appup=banks.get(v)), root=v) for v in vsns]


def test_a_wrong_entry_beside_a_missing_one_is_an_error_without_a_route_and_a_warning_with_one() -> None:
    one, three = two_applications("1", "3", bank={"3": "2"})
    with pytest.raises(InvalidInput) as error:
        find_route(one, three)
    assert [d.code for d in error.value.diagnostics][:3] == ["no_relup", "no_such_module", "no_route"]
    one, two, three = two_applications("1", "2", "3", bank={"2": "1", "3": "2"})
    route = find_route(one, three, [two])
    assert (path(route), said(route)) == ("1 2 3", ["route", "ways_left_out"])
    assert route.warnings[1].message == "left out, as their plans are wrong: 1 → 3 [no_such_module]"


def test_two_applications_need_two_entries() -> None:
    till = {vsn: app(vsn, {"bank": vsn}, "bank") for vsn in ("1", "3")}
    known = versions("1+2", "3")
    one, three = (release(v, *known[v].applications, till[v]) for v in ("1", "3"))
    with pytest.raises(InvalidInput) as error:
        find_route(one, three, [release("2", *known["2"].applications, till["1"])])
    assert (
        "an `up` entry from 2 in the appup of shop 3 and an `up` entry from 1 in the appup of bank 3 would close"
        in str(error.value)
    )


def test_without_known_releases_it_is_said_how_to_name_them() -> None:
    known = versions("1+2 2+3")
    with pytest.raises(InvalidInput) as error:
        find_route(known["1"], known["3"], [replace(known["2"], name="chat")])
    assert str(error.value.diagnostics[-1]) == (
        "no release between 1 and 3 is known, so there is no route either: chat 2 cannot be between them "
        "(name the folder of the releases in between: --through DIR) [no_route]"
    )


@pytest.mark.parametrize("kind", ["wrong", "typo"])
def test_nothing_is_routed_around_an_entry_that_is_wrong(kind: str) -> None:
    known = versions(f"1+2 2+3 1+3={kind}")
    with pytest.raises(InvalidInput) as direct:
        plan(known["1"], known["3"])
    with pytest.raises(InvalidInput) as routed:
        find_route(known["1"], known["3"], known.values())
    assert routed.value.diagnostics == direct.value.diagnostics


def test_another_release_is_no_goal_whatever_it_leads_over() -> None:
    known = versions(CHAIN)
    with pytest.raises(InvalidInput, match="different_releases"):
        find_route(known["1"], replace(known["4"], name="other"), known.values(), via=["2"])


def test_an_unknown_version_is_an_error_with_the_nearest_one() -> None:
    error = refusal("1+2.10 2.10+3", "1", "3", via=["2.1", "7"])
    assert [str(d) for d in error.diagnostics] == [
        "1/release.yaml:1:3: no release shop '2.1' is known; known are 1, 2.10, 3 "
        "(did you mean '2.10'?) [unknown_version]",
        "1/release.yaml:1:3: no release shop '7' is known; known are 1, 2.10, 3 [unknown_version]",
    ]


# ── against brute force ────────────────────────────────────────────────────────────────────────────────

NAMES = ("1", "1.9", "1.10", "2", "3")


@st.composite
def ways_between(draw: st.DrawFn) -> str:
    pairs = [f"{x}{sign}{y}" for x, y in permutations(NAMES, 2) for sign in "+-"]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=4, max_size=14, unique=True))
    return " ".join(f"{way}={draw(st.sampled_from(sorted(WAYS)))}" for way in chosen)


def by_brute_force(known: dict[str, Release], base: str, goal: str) -> tuple[Cost, str] | None:
    """The cost and the path of the route, found by trying every path in every direction."""
    plans: dict[tuple[str, str, Direction], Relup] = {}
    for x, y in permutations(known, 2):
        for direction in ("up", "down"):
            try:
                plans[x, y, direction] = plan(known[x], known[y], direction)
            except RelupError:
                continue

    def priced(vsns: Sequence[str], allowed: Sequence[Direction]) -> Iterator[Cost]:
        for x, y in pairwise(vsns):
            yield min((hop_cost(plans[x, y, d]) for d in allowed if (x, y, d) in plans), default=Cost(restarts=999))

    inner = [v for v in known if v not in (base, goal)]
    paths = [(base, *some, goal) for n in range(len(inner) + 1) for some in permutations(inner, n)]
    one: list[Sequence[Direction]] = [["up"], ["down"]] if natural(base) < natural(goal) else [["down"], ["up"]]
    for allowed in (*one, ["up", "down"]):
        costs = {vsns: sum(priced(vsns, allowed), Cost()) for vsns in paths}
        least = min(costs.values())
        if least.restarts == 0:
            best = max((vsns for vsns in paths if costs[vsns] == least), key=lambda vsns: list(map(natural, vsns)))
            return least, " ".join(best)
    return None


@settings(max_examples=60, deadline=None)
@given(ways=ways_between(), seed=st.integers(0, 2**16))
def test_routes_are_the_cheapest_and_do_not_depend_on_the_order_of_what_is_known(ways: str, seed: int) -> None:
    known = versions(ways, " ".join(NAMES))
    shuffled = list(known.values())
    Random(seed).shuffle(shuffled)
    for base, goal in (("1", "3"), ("2", "1.9")):
        expected = by_brute_force(known, base, goal)
        route = route_or_refusal(known[base], known[goal], known.values())
        assert route_or_refusal(known[base], known[goal], shuffled) == route
        match route:
            case Route(hops) if len(hops) > 1:
                assert (route_cost(route), path(route)) == expected
            case [*diagnostics] if "no_route" in [d.code for d in diagnostics]:
                assert expected is None


def route_or_refusal(base: Release, goal: Release, known: Iterable[Release]) -> Route | tuple[Diagnostic, ...]:
    try:
        return find_route(base, goal, known)
    except RelupError as error:
        return error.diagnostics
