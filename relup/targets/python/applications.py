"""Applications as the model knows them, for the runtime, which knows nothing of the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from relup.model.instructions import ApplicationType
from relup.model.release import Application
from relup.runtime import ApplicationSpec, Node
from relup.runtime.application import StartType


def make_known(node: Node, application: Application) -> Callable[[], None]:
    """Tell the node what *application* is now, known before or not, and return what takes that back."""
    spec = specification(application)
    if spec.name in node.applications.loaded:
        before = node.applications.replace(spec)
        return partial(_put_back, node, before)
    node.applications.load(spec)
    return partial(node.applications.unload, spec.name)


def _put_back(node: Node, spec: ApplicationSpec) -> None:
    node.applications.replace(spec)


def specification(application: Application) -> ApplicationSpec:
    """Return what the runtime needs to start *application*."""
    return ApplicationSpec(
        name=application.name,
        vsn=application.vsn,
        start=application.start,
        args=application.args,
        modules=application.modules,
        type=_start_type(application.type),
        applications=application.applications,
    )


def _start_type(type_: ApplicationType) -> StartType:
    """Return how it is started when somebody starts it: `load` and `none` say only that the boot does not."""
    match type_:
        case "load" | "none":
            return "permanent"
        case "permanent" | "transient" | "temporary":
            return type_
