"""The doors of the rules: one for an appup by itself, one for a way between two releases."""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.appup import Appup
from relup.model.route import Route
from relup.planner.legs import Leg
from relup.planner.lint.calls import check_calls
from relup.planner.lint.children import check_children, check_deleted
from relup.planner.lint.circles import check_circles, check_purges
from relup.planner.lint.entries import check_entries, check_mixture
from relup.planner.lint.held import check_held
from relup.planner.lint.homes import check_homes
from relup.planner.lint.inverses import check_inverses
from relup.planner.lint.patterns import check_versions
from relup.planner.lint.scene import scene
from relup.planner.lint.servers import check_servers, check_suspensions
from relup.planner.lint.taken_over import check_taken_over
from relup.planner.lint.texts import check_texts
from relup.planner.lint.uses import check_added_uses, check_deleted_uses

_RULES = (
    check_texts,
    check_calls,
    check_deleted_uses,
    check_added_uses,
    check_servers,
    check_suspensions,
    check_held,
    check_taken_over,
    check_children,
    check_deleted,
    check_circles,
    check_purges,
)


def check_appup(appup: Appup) -> Iterator[Diagnostic]:
    """Find what is wrong with an appup by itself."""
    yield from appup.unanswered
    yield from check_versions(appup)
    yield from check_entries(appup)
    yield from check_inverses(appup)


def check_route(route: Route) -> Iterator[Diagnostic]:
    """Find what is wrong with the appups that a route is made of, beside what its plans say."""
    for hop in route.hops:
        newer, older = (hop.goal, hop.base) if hop.direction == "up" else (hop.base, hop.goal)
        for application in newer.applications:
            other = older.application(application.name)
            if application.appup and other and other.vsn != application.vsn:
                yield from check_appup(application.appup)


def check_way(leg: Leg) -> Iterator[Diagnostic]:
    """Find what is wrong with a way between two releases, as far as their code is known."""
    yield from check_mixture(leg.instructions(), leg.after.kind)
    yield from check_homes(leg)
    if found := scene(leg):
        for rule in _RULES:
            yield from rule(found)
