"""A `code_change` to begin with, in the language of its module: both ways, as OTP calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relup.model.code import BeamModule, ModuleCode
from relup.model.functions import Functions
from relup.planner.behaviours import SYS
from relup.planner.draft.states import begun, code_change, records, structs

_LONG = 16
"""From how many fields on a record is not written out."""
_PLAIN = re.compile("[a-z][A-Za-z0-9_]*")
_RESERVED = frozenset(
    {"after", "and", "begin", "case", "catch", "end", "fun", "if", "not", "of", "or", "receive", "try", "when"}
)
_BY_CHANCE = 2**64
"""A `vsn` that nobody wrote is a digest of the module, a number larger than this."""


def is_elixir(module: BeamModule) -> bool:
    """Say whether a module was written in Elixir."""
    return ("__info__", 1) in module.exports


@dataclass(frozen=True, slots=True)
class _Take:
    """How a state is taken over: what it is matched with, and what it becomes."""

    state: str
    becomes: str


def beam_stub(
    module: BeamModule, behaviour: str, vsn: str, old: Functions | None, new: Functions | None
) -> Iterator[str]:
    """Yield the lines of a function that takes the states over; *vsn* is the older version of the application."""
    if is_elixir(module):
        up, down = _elixir_takes(module, old, new)
        yield "    @impl true"
        yield f"    def {_elixir(behaviour, '{:down, _vsn}', down)}  # back to {vsn}"
        yield f"    def {_elixir(behaviour, '_old_vsn', up)}  # from {vsn}"
    else:
        up, down = _erlang_takes(old, new)
        yield f"    {_erlang(behaviour, '{down, _Vsn}', down)};  % back to {vsn}"
        yield f"    {_erlang(behaviour, '_OldVsn', up)}.  % from {vsn}"


def _erlang(behaviour: str, version: str, take: _Take) -> str:
    name, arity = code_change(behaviour)
    if behaviour == SYS:
        return f"{name}({take.state}, _Module, {version}, _Extra) -> {{ok, {take.becomes}}}"
    if arity == 4:
        return f"{name}({version}, State, {_data(take.state)}, _Extra) -> {{ok, State, {_data(take.becomes)}}}"
    return f"{name}({version}, {take.state}, _Extra) -> {{ok, {take.becomes}}}"


def _data(text: str) -> str:
    """Return what is said of a state for what a state machine keeps beside its state, OTP's data."""
    return text.replace("State", "Data")


def _elixir(behaviour: str, version: str, take: _Take) -> str:
    name, arity = code_change(behaviour)
    if behaviour == SYS:
        return f"{name}({take.state}, _module, {version}, _extra), do: {{:ok, {take.becomes}}}"
    if arity == 4:
        data = _Take(*(text.replace("state", "data") for text in (take.state, take.becomes)))
        return f"{name}({version}, state, {data.state}, _extra), do: {{:ok, state, {data.becomes}}}"
    return f"{name}({version}, {take.state}, _extra), do: {{:ok, {take.becomes}}}"


def _erlang_takes(old: Functions | None, new: Functions | None) -> tuple[_Take, _Take]:
    """Return how a state is made new, and old again: of the record that `init` makes, or the map, where one changed."""
    was, now = (records(f) if f else {} for f in (old, new))
    for tag in sorted(was.keys() & now.keys()):
        if was[tag] != now[tag] and was[tag] < _LONG and _is_plain(tag):
            before = f"{{{', '.join([tag, *(f'F{n}' for n in range(1, was[tag] + 1))])}}}"
            return _Take(before, f"#{tag}{{...}}"), _Take(f"#{tag}{{...}}", before)
    more, less = _keys(old, new)
    return (
        _Take("State", _erlang_map(more, less)),
        _Take("State", _erlang_map(less, more)),
    )


def _erlang_map(more: Sequence[str], less: Sequence[str]) -> str:
    kept = f"(maps:without([{', '.join(less)}], State))" if less else "State"
    return f"{kept}#{{{', '.join(f'{k} => ...' for k in more)}}}" if more else kept.removeprefix("(").removesuffix(")")


def _elixir_takes(module: BeamModule, old: Functions | None, new: Functions | None) -> tuple[_Take, _Take]:
    """Return how a state is made new, and old again: of the module's own struct, or a map, where one changed."""
    was, now = (structs(f).get(module.name) if f else None for f in (old, new))
    if was is not None and now is not None and was != now:
        up = f"struct({module.name.removeprefix('Elixir.')}, Map.from_struct(state))"
        return _Take("state", up), _Take("state", _elixir_map(sorted(was - now), sorted(now - was)))
    more, less = _keys(old, new)
    return _Take("state", _elixir_map(more, less)), _Take("state", _elixir_map(less, more))


def _elixir_map(more: Sequence[str], less: Sequence[str]) -> str:
    kept = f"Map.drop(state, [{', '.join(f':{k}' for k in less)}])" if less else "state"
    return f"Map.merge({kept}, %{{{', '.join(f'{k}: ...' for k in more)}}})" if more else kept


def _keys(old: Functions | None, new: Functions | None) -> tuple[list[str], list[str]]:
    """Return the keys of maps that `init` uses and did not, and those that it did and no longer uses."""
    was, now = (begun(f) if f else frozenset() for f in (old, new))
    return [k for k in sorted(now - was) if _is_plain(k)], [k for k in sorted(was - now) if _is_plain(k)]


def _is_plain(name: str) -> bool:
    """Say whether an atom is written without quotes; others are left to whoever writes the function."""
    return bool(_PLAIN.fullmatch(name)) and name not in _RESERVED


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
