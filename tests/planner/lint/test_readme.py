"""The README's table of rules is the table of rules."""

from __future__ import annotations

import re
from pathlib import Path

from relup.planner.lint import RULES

README = Path(__file__).parents[3] / "README.md"


def test_every_rule_is_in_the_readme_with_its_severity_and_summary() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (error|warning|note) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [(r.code, r.severity, r.summary) for r in RULES.values()]
