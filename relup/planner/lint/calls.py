"""Functions that `apply` and `verify` call: whether they are there, in the code that runs when they are called.

A call is made between two windows, or inside one: what was loaded before it is new, everything else is old. A function
that is not there is found here with the line of the appup, not in the middle of an upgrade.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

from relup.diagnostics import Diagnostic, Location
from relup.model.code import BeamModule, PythonModule
from relup.model.instructions import Apply, Call
from relup.planner.lint.classes import Classes
from relup.planner.lint.scene import Made, Scene
from relup.planner.lint.table import finding
from relup.planner.names import did_you_mean, keyword
from relup.syntax.outline import Signature

OTP: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "supervisor": {
        "which_children": (1, 1),
        "count_children": (1, 1),
        "start_child": (2, 2),
        "restart_child": (2, 2),
        "terminate_child": (2, 2),
        "delete_child": (2, 2),
        "restore_child": (2, 2),
    },
    "application": {"load": (1, 1), "unload": (1, 1), "start": (1, 2), "stop": (1, 1), "which_applications": (0, 0)},
}
"""OTP's functions that a Python node has, under OTP's names, and how many arguments they take."""
_LIBRARY = frozenset({*sys.stdlib_module_names, "relup"})


def check_calls(scene: Scene) -> Iterator[Diagnostic]:
    """Find calls of functions that are not there."""
    for made in scene.calls:
        yield from _check(scene, made, made.apply.call, keyword(made.apply))
        if isinstance(made.apply, Apply) and made.apply.undo:
            yield from _check(scene, made, made.apply.undo, "undo")


def _check(scene: Scene, made: Made, call: Call, what: str) -> Iterator[Diagnostic]:
    place = made.apply.location
    classes = scene.after if scene.runs_new(call.module, made) else scene.before
    if classes.release.kind == "python" and call.module in OTP:
        yield from _otp(call, place, what)
        return
    gone = call.module in scene.removes and scene.runs_new(call.module, made)
    match None if gone else classes.release.code.module(call.module):
        case PythonModule() as module:
            yield from _python(classes, module, call, place, what)
        case BeamModule() as module:
            yield from _beam(classes, module, call, place, what)
        case None if classes.release.kind == "python":
            yield from _unknown(scene, classes, call, place, what)
        case _:
            pass


def _otp(call: Call, place: Location | None, what: str) -> Iterator[Diagnostic]:
    known = OTP[call.module]
    if call.function not in known:
        yield _absent(call, place, f"{what}: {call.module} has no function {call.function!r}", known)
        return
    least, most = known[call.function]
    yield from _counted(call, place, what, Signature(0, least, most))


def _python(
    classes: Classes, module: PythonModule, call: Call, place: Location | None, what: str
) -> Iterator[Diagnostic]:
    first, _, rest = call.function.partition(".")
    outline = module.outline
    if first in outline.functions and not rest:
        signature = outline.functions[first]
        yield from _counted(call, place, what, signature, f" ({module.path}:{signature.line})")
    elif first not in outline.names and "*" not in outline.names:
        message = f"{what}: {call.module} of {classes.release} has no {call.function!r}"
        yield _absent(call, place, message, [*outline.functions, *outline.classes])


def _beam(classes: Classes, module: BeamModule, call: Call, place: Location | None, what: str) -> Iterator[Diagnostic]:
    if (call.function, len(call.args)) not in module.exports:
        arities = sorted(arity for name, arity in module.exports if name == call.function)
        others = f", only with {', '.join(map(str, arities))} argument(s)" if arities else ""
        message = f"{what}: {call.module} of {classes.release} exports no {call.function}/{len(call.args)}{others}"
        yield replace(_absent(call, place, message, [name for name, _ in module.exports]), severity="warning")


def _unknown(scene: Scene, classes: Classes, call: Call, place: Location | None, what: str) -> Iterator[Diagnostic]:
    other = scene.before if classes is scene.after else scene.after
    if other.module(call.module):
        message = f"{what}: there is no {call.module!r} when it is called: only {other.release} has it"
        yield finding(
            "apply_undefined", message, place, "move the call before its delete_module, or after its add_module"
        )
    elif any(call.module in a.fingerprints for a in classes.release.applications):
        return
    elif call.module.partition(".")[0] not in _LIBRARY:
        message = f"{what}: neither {classes.release} nor Python itself has a module {call.module!r}"
        known = [m for a in classes.release.applications for m in a.modules]
        hint = did_you_mean(call.module, known) or "it has to be installed where the node runs"
        yield finding("apply_unknown_module", message, place, hint)


def _counted(call: Call, place: Location | None, what: str, takes: Signature, where: str = "") -> Iterator[Diagnostic]:
    given, least, most = len(call.args), takes.least, takes.most
    if given < least or (most is not None and given > most):
        wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        message = f"{what}: {call.module}:{call.function} takes {wanted} argument(s){where}, and is given {given}"
        yield finding("apply_undefined", message, place, f"args: a list of {wanted}")


def _absent(call: Call, place: Location | None, message: str, known: Mapping[str, object] | list[str]) -> Diagnostic:
    hint = did_you_mean(call.function, list(known), but=(call.function,)) or "define it, or mend the name in the appup"
    return finding("apply_undefined", message, place, hint)
