"""How a plan came about, as JSON-compatible data: facts in full, where a text for eyes shortens.

Only written, never read: what is applied is the plan.
"""

from __future__ import annotations

from typing import Any, assert_never

from relup.document.fields import at
from relup.document.instructions import write_instruction
from relup.model.explanation import (
    After,
    Explanation,
    Free,
    OrderedComponent,
    OrderedModule,
    Pass,
    Reason,
    Source,
    Tie,
)


def explanation_to_data(explanation: Explanation) -> dict[str, Any]:
    """Return where the scripts of a plan come from, the script after each pass, and the modules in their order."""
    return {
        "sources": [_source(s) for s in explanation.sources],
        "passes": [_pass(p) for p in explanation.passes],
        "components": [_component(c) for c in explanation.components],
    }


def _source(source: Source) -> dict[str, Any]:
    script = [write_instruction(i, places=True) for i in source.instructions]
    data = {"application": source.application, "origin": source.origin}
    return data | at(source.location, True) | {"script": script}


def _pass(found: Pass) -> dict[str, Any]:
    steps = zip(found.script, found.marks, strict=True)
    script = [{"mark": mark, "instruction": write_instruction(i, places=True)} for i, mark in steps]
    return {"pass": found.name, "gone": found.gone, "script": script}


def _component(component: OrderedComponent) -> dict[str, Any]:
    return {
        "number": component.number,
        "stands_at": {"module": component.first.module} | at(component.first.location, True),
        "circles": [list(c) for c in component.circles],
        "modules": [_module(m) for m in component.modules],
    }


def _module(module: OrderedModule) -> dict[str, Any]:
    return {
        "module": module.instruction.module,
        "instruction": write_instruction(module.instruction, places=True),
        "rank": module.rank,
        "loaded": module.loaded,
        "code_change": module.code_change,
        "circle": module.circle,
        "because": [_reason(r) for r in module.reasons],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    match reason:
        case Free():
            return {"kind": "free"}
        case After(dependent, on, location):
            return {"kind": "after", "dependent": dependent, "on": on} | at(location, True)
        case Tie(first, second, by):
            return {"kind": "tie", "first": first, "second": second, "by": by}
        case _:
            assert_never(reason)
