"""From two releases and their appups to one plan; pure, and the only room that knows networkx."""

from relup.planner.planning import plan
from relup.planner.translation import Stages, stages, translate

__all__ = ["Stages", "plan", "stages", "translate"]
