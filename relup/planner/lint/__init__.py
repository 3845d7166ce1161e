"""The rules of `relup check`: what can be wrong with an appup, and with a way between two releases.

An appup by itself is checked as it is written; a way between two releases with the code of both, where it is known.
Every rule is linear in what it reads, and reads nothing when nothing is known.
"""

from relup.planner.lint.check import check_appup, check_route, check_way
from relup.planner.lint.table import RULES, Rule

__all__ = ["RULES", "Rule", "check_appup", "check_route", "check_way"]
