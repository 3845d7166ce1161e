"""What a supervisor is told: its flags and the specs of its children, and what may be wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

from relup.runtime.behaviour import Behaviour
from relup.runtime.code import ClassReference
from relup.runtime.errors import InvalidSpec
from relup.runtime.shutdown import Shutdown

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
ChildType: TypeAlias = Literal["worker", "supervisor"]

STRATEGIES: Final = ("one_for_one", "one_for_all", "rest_for_one")
RESTARTS: Final = ("permanent", "transient", "temporary")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child and what to do when it exits (OTP's child specification).

    `type` defaults to what `start` is, `shutdown` to 5 seconds for a worker and `infinity` for a supervisor, `modules`
    to the module of `start`: they are the modules whose upgrade concerns the child.
    """

    id: Any
    start: type | ClassReference
    args: Any = None
    name: str | None = None
    restart: Restart = "permanent"
    shutdown: Shutdown | None = None
    type: ChildType | None = None
    modules: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """What `Supervisor.init` returns: more than `intensity` restarts in `period` seconds end the supervisor."""

    children: Sequence[ChildSpec] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period: float = 5.0


def completed(spec: ChildSpec, reference: ClassReference) -> ChildSpec:
    """Return *spec* with its defaults filled, and the class as a reference, so that a restart runs current code."""
    kind: ChildType = "supervisor" if getattr(reference.cls, "supervises", False) else "worker"
    kind = spec.type or kind
    return ChildSpec(
        id=spec.id,
        start=reference,
        args=spec.args,
        name=spec.name,
        restart=spec.restart,
        shutdown=spec.shutdown if spec.shutdown is not None else "infinity" if kind == "supervisor" else 5.0,
        type=kind,
        modules=tuple(spec.modules) if spec.modules is not None else (reference.module,),
    )


def child_spec(spec: ChildSpec | Mapping[str, Any]) -> ChildSpec:
    """Return *spec* as a ChildSpec; plain data from an appup says `start: module:Class`. Raises InvalidSpec."""
    if isinstance(spec, ChildSpec):
        found = spec
    else:
        try:
            found = ChildSpec(**spec)
        except TypeError as error:
            raise InvalidSpec("child spec", [str(error).replace("ChildSpec.__init__() ", "")]) from None
    start: object = found.start
    if isinstance(start, str):
        found = replace(found, start=locate(start))
    if problems := list(check_child(found)):
        raise InvalidSpec("child spec", problems)
    return found


def locate(place: str) -> Any:
    """Return the class that `module:Class` names; raises InvalidSpec."""
    module, _, qualname = place.partition(":")
    found: Any = None
    try:
        found = import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSpec(place, [f"there is no such class: {error}"]) from error
    return found


def validate(owner: str, spec: object) -> SupervisorSpec:
    """Return *spec* if a supervisor can work by it; raises InvalidSpec with all that is wrong."""
    if not isinstance(spec, SupervisorSpec):
        raise InvalidSpec(owner, [f"init returned {spec!r:.200}; it must return a SupervisorSpec"])
    problems = [*_check_flags(spec), *_check_children(spec.children)]
    if problems:
        raise InvalidSpec(owner, problems)
    return spec


def _check_flags(spec: SupervisorSpec) -> Iterator[str]:
    if spec.strategy not in STRATEGIES:
        yield f"strategy {spec.strategy!r} is none of {', '.join(STRATEGIES)}"
    if isinstance(spec.intensity, bool) or not isinstance(spec.intensity, int) or spec.intensity < 0:
        yield f"intensity {spec.intensity!r} is no number of restarts (0 or more)"
    if isinstance(spec.period, bool) or not isinstance(spec.period, int | float) or not spec.period > 0:
        yield f"period {spec.period!r} is no number of seconds above 0"


def _check_children(children: object) -> Iterator[str]:
    if isinstance(children, str) or not isinstance(children, Sequence):
        yield f"children {children!r:.200} is no list of ChildSpecs"
        return
    specs = [c for c in children if isinstance(c, ChildSpec)]
    for child in children:
        yield from check_child(child)
    hashable = [s.id for s in specs if _hashable(s.id)]
    for name, count in Counter(hashable).items():
        if count > 1:
            yield f"{count} children have the id {name!r} (duplicate_child_name)"
    for name, count in Counter(s.name for s in specs if isinstance(s.name, str)).items():
        if count > 1:
            yield f"{count} children have the name {name!r}"


def check_child(spec: object) -> Iterator[str]:
    """Say what is wrong with one child spec."""
    if not isinstance(spec, ChildSpec):
        yield f"{spec!r:.200} is no ChildSpec"
        return
    fields: dict[str, Any] = {f.name: getattr(spec, f.name) for f in dataclass_fields(spec)}
    start = spec.start.cls if isinstance(spec.start, ClassReference) else fields["start"]
    checks = (
        (_hashable(spec.id), "the id must be hashable"),
        (_is_behaviour(start), f"start {start!r:.200} is no GenServer or Supervisor class"),
        (isinstance(fields["name"], str | None), f"name {spec.name!r:.200} is no text"),
        (spec.restart in RESTARTS, f"restart {spec.restart!r} is none of {', '.join(RESTARTS)}"),
        (_is_shutdown(spec.shutdown), f"shutdown {spec.shutdown!r} is no seconds (0 or more), infinity or brutal_kill"),
        (spec.type in (None, "worker", "supervisor"), f"type {spec.type!r} is neither worker nor supervisor"),
        (_are_modules(spec.modules), f"modules {spec.modules!r:.200} is no sequence of module names"),
    )
    for good, problem in checks:
        if not good:
            yield f"child {spec.id!r}: {problem}"


def _is_behaviour(start: Any) -> bool:
    return isinstance(start, type) and issubclass(start, Behaviour)


def _is_shutdown(value: object) -> bool:
    match value:
        case None | "infinity" | "brutal_kill":
            return True
        case bool():
            return False
        case int() | float():
            return value >= 0
        case _:
            return False


def _are_modules(value: object) -> bool:
    if value is None:
        return True
    return not isinstance(value, str) and isinstance(value, Sequence) and all(isinstance(m, str) and m for m in value)


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
