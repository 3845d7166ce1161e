"""The matrix for eyes: fault by step, and how often it ended how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.faults.result import ENDS, Result


def told(result: Result) -> str:
    """Return a line on one run."""
    why = "".join(f"\n    {w}" for w in result.why)
    return f"{result.end:<12}{result.seconds:6.2f} s  {result.case}{why}"


def table(results: Sequence[Result], left: Mapping[str, int], seconds: float) -> str:
    """Return the table, the counts, and what was left out."""
    return "\n".join(_lines(results, left, seconds))


def _lines(results: Sequence[Result], left: Mapping[str, int], seconds: float) -> Iterator[str]:
    cells: dict[tuple[str, str], Counter[str]] = {}
    for r in results:
        cells.setdefault((r.case.fault, r.case.step), Counter())[r.end] += 1
    faults = list(dict.fromkeys(r.case.fault for r in results))
    steps = list(dict.fromkeys(r.case.step for r in results))
    width = max(map(len, [*faults, "fault"]), default=5)
    for step in steps:
        yield f"── {step}"
        for name in faults:
            if counts := cells.get((name, step)):
                yield f"   {name:<{width}}  {', '.join(f'{counts[end]} {end}' for end in ENDS if counts[end])}"
    ends = Counter(r.end for r in results)
    yield ""
    yield f"{len(results)} runs in {seconds:.0f} s: " + ", ".join(f"{ends[e]} {e}" for e in ENDS)
    yield f"{sum(left.values())} combinations left out:"
    yield from (f"   {count:5} {why}" for why, count in sorted(left.items(), key=lambda item: -item[1]))
