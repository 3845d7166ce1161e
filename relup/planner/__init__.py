"""From two releases and their appups to one plan; pure, and the only room that knows networkx."""

from relup.planner.closure import members
from relup.planner.cost import Cost, hop_cost, route_cost
from relup.planner.draft import draft
from relup.planner.explain import explain
from relup.planner.extensions import check_extensions
from relup.planner.graph import dependency_graph, version_graph
from relup.planner.planning import plan
from relup.planner.routes import find_route
from relup.planner.translation import Stages, stages, translate
from relup.planner.written_out import written_out

__all__ = [
    "Cost",
    "Stages",
    "check_extensions",
    "dependency_graph",
    "draft",
    "explain",
    "find_route",
    "hop_cost",
    "members",
    "plan",
    "route_cost",
    "stages",
    "translate",
    "version_graph",
    "written_out",
]
