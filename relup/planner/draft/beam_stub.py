"""A `code_change` to begin with, in the language of its module: both ways, as OTP calls it."""

from __future__ import annotations

from collections.abc import Iterator

from relup.model.code import BeamModule, ModuleCode
from relup.model.functions import Functions
from relup.planner.behaviours import SYS
from relup.planner.draft.states import code_change, structs

_BY_CHANCE = 2**64
"""A `vsn` that nobody wrote is a digest of the module, a number larger than this."""


def is_elixir(module: BeamModule) -> bool:
    """Say whether a module was written in Elixir."""
    return ("__info__", 1) in module.exports


def beam_stub(
    module: BeamModule, behaviour: str, vsn: str, old: Functions | None, new: Functions | None
) -> Iterator[str]:
    """Yield the lines of a function that takes the states over; *vsn* is the older version of the application."""
    if is_elixir(module):
        yield from _elixir(behaviour, vsn, *_rebuilt(module, old, new))
    else:
        yield from _erlang(behaviour, vsn)


def _erlang(behaviour: str, vsn: str) -> Iterator[str]:
    name, arity = code_change(behaviour)
    if behaviour == SYS:
        yield f"    {name}(State, _Module, {{down, _Vsn}}, _Extra) -> {{ok, State}};  % back to {vsn}"
        yield f"    {name}(State, _Module, _OldVsn, _Extra) -> {{ok, State}}.  % from {vsn}"
        return
    state, data = ("State", "") if arity == 3 else ("State", ", Data")
    yield f"    {name}({{down, _Vsn}}, {state}{data}, _Extra) -> {{ok, {state}{data}}};  % back to {vsn}"
    yield f"    {name}(_OldVsn, {state}{data}, _Extra) -> {{ok, {state}{data}}}.  % from {vsn}"


def _elixir(behaviour: str, vsn: str, up: str, down: str) -> Iterator[str]:
    name, arity = code_change(behaviour)
    if behaviour == SYS:
        yield f"    def {name}(state, _module, {{:down, _vsn}}, _extra), do: {{:ok, {down}}}  # back to {vsn}"
        yield f"    def {name}(state, _module, _old_vsn, _extra), do: {{:ok, {up}}}  # from {vsn}"
        return
    taken, kept = ("state", "") if arity == 3 else ("name, state", "name, ")
    yield "    @impl true"
    yield f"    def {name}({{:down, _vsn}}, {taken}, _extra), do: {{:ok, {kept}{down}}}  # back to {vsn}"
    yield f"    def {name}(_old_vsn, {taken}, _extra), do: {{:ok, {kept}{up}}}  # from {vsn}"


def _rebuilt(module: BeamModule, old: Functions | None, new: Functions | None) -> tuple[str, str]:
    """Return what makes a state new, and old again: of the module's own struct, when that is what changed."""
    was, now = (structs(f).get(module.name) if f else None for f in (old, new))
    if was is None or now is None or was == now:
        return "state", "state"
    more, less = sorted(now - was), sorted(was - now)
    up = f"struct({module.name.removeprefix('Elixir.')}, Map.from_struct(state))"
    down = f"Map.drop(state, [{', '.join(f':{f}' for f in more)}])" if more else "state"
    given = ", ".join(f"{f}: nil" for f in less)
    return up, f"Map.merge({down}, %{{{given}}})" if less else down


def version(before: ModuleCode | None, module: BeamModule, vsn: str) -> Iterator[str]:
    """Yield what `code_change` is given as the old version, when somebody wrote one."""
    old = _written(before) if isinstance(before, BeamModule) else ""
    if old:
        same = "; the new module has the same one, so it does not tell them apart" if _written(module) == old else ""
        yield f"the old version is {old}, the -vsn of {vsn}{same}"


def _written(module: BeamModule) -> str:
    """Return the version that a module says it has; nothing when the compiler made it up."""
    values = module.attributes.get("vsn", ())
    numbers = [getattr(v, "value", 0) for v in values]
    if not values or (len(values) == 1 and isinstance(numbers[0], int) and numbers[0] > _BY_CHANCE):
        return ""
    return ", ".join(
        str(getattr(v, "text", None) or getattr(v, "name", None) or getattr(v, "value", "")) for v in values
    )
