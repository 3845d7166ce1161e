"""What becomes of the states of a BEAM module's processes, as far as its code shows it.

A `.beam` file says nothing of states. But what begins one is `init` and what that calls, what takes one over is
`code_change`, and what is kept in one shows in the sizes of records, the keys of maps, and Elixir's structs. When all
of these are what they were the state is taken to be so too; an engineer reads in the draft what was compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from relup.model.functions import Functions, Name, reached
from relup.planner.behaviours import SYS
from relup.planner.draft.scene import Scene

INIT: Name = ("init", 1)
_ASIDE: Collection[Name] = {("child_spec", 1), ("__info__", 1), ("module_info", 0), ("module_info", 1)}


def code_change(behaviour: str) -> Name:
    """Return the function that takes over the states of a behaviour's processes."""
    if behaviour == SYS:
        return "system_code_change", 4
    return "code_change", 4 if behaviour in ("gen_statem", "gen_fsm") else 3


def has_own(functions: Functions, name: Name) -> bool:
    """Say whether somebody wrote a `code_change`; Elixir writes one for everybody, which returns what it is given."""
    return name in functions and not functions[name].untouched


def in_words(name: Name) -> str:
    """Return a function as Erlang names it."""
    return f"{name[0]}/{name[1]}"


def changed(old: Functions, new: Functions, start: Name) -> list[Name]:
    """Return which functions differ among *start* and all that it calls in its module, in either version."""
    names = dict.fromkeys((*reached(new, start), *reached(old, start)))
    return [n for n in names if n not in old or n not in new or old[n].digest != new[n].digest]


def differing(old: Functions, new: Functions) -> list[str]:
    """Return the functions that differ, in words."""
    return [in_words(n) for n in sorted({*old, *new}) if n not in old or n not in new or old[n].digest != new[n].digest]


def reasons(scene: Scene, module: str, behaviour: str, old: Functions, new: Functions) -> Iterator[str]:
    """Yield why states are taken to have changed."""
    taking = code_change(behaviour)
    if has_own(new, taking) and (not has_own(old, taking) or changed(old, new, taking)):
        yield f"its {in_words(taking)} {'changed' if has_own(old, taking) else 'is new'}"
    beginning = changed(old, new, INIT)
    if beginning:
        calls = [in_words(n) for n in beginning if n != INIT]
        yield f"{', '.join(calls)}, which init/1 calls, changed" if INIT not in beginning else "its init/1 changed"
    yield from _elsewhere(scene, module, new)
    yield from _shapes(old, new)


def _elsewhere(scene: Scene, module: str, new: Functions) -> Iterator[str]:
    """Yield the functions of other modules that `init` calls and that changed."""
    called = dict.fromkeys(r for n in reached(new, INIT) for r in new[n].remote)
    for other, name, arity in called:
        if other in scene.changed and other != module:
            before, after = scene.old.functions(other), scene.new.functions(other)
            if before is None or after is None or changed(before, after, (name, arity)):
                yield f"init/1 calls {other}:{name}/{arity}, which changed"


def structs(functions: Functions) -> Mapping[str, frozenset[str]]:
    """Return the fields of the structs that a module has, by their names."""
    found: dict[str, frozenset[str]] = {}
    for name in sorted(functions):
        for struct, fields in functions[name].structs:
            found[struct] = found.get(struct, frozenset()) | fields
    return dict(sorted(found.items()))


def _shapes(old: Functions, new: Functions) -> Iterator[str]:
    """Yield the records, the structs and the keys of maps that are not what they were."""
    was, now = structs(old), structs(new)
    for struct in now:
        if struct in was and was[struct] != now[struct]:
            said = _more_and_less(was[struct], now[struct])
            yield f"the struct {struct.removeprefix('Elixir.')} has other fields: {said}"
    sized, sizes = _sizes(old), _sizes(new)
    for tag in sorted(sizes.keys() & sized.keys()):
        if sizes[tag].isdisjoint(sized[tag]):
            yield f"{{{tag}, ...}} has {_counts(sizes[tag])} fields, before {_counts(sized[tag])}"
    before, after = _keys(old), _keys(new)
    if before != after:
        yield f"the keys of its maps are others: {_more_and_less(before, after)}"


def _more_and_less(was: frozenset[str], now: frozenset[str]) -> str:
    return ", ".join([*(f"+ {f}" for f in sorted(now - was)), *(f"- {f}" for f in sorted(was - now))])


def _counts(sizes: Collection[int]) -> str:
    return " or ".join(map(str, sorted(sizes)))


def _sizes(functions: Functions) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name, function in functions.items():
        for tag, size in function.records if name not in _ASIDE else ():
            found.setdefault(tag, set()).add(size)
    return found


def _keys(functions: Functions) -> frozenset[str]:
    return frozenset(k for name, f in functions.items() if name not in _ASIDE for k in f.keys)


def records(functions: Functions) -> dict[str, int]:
    """Return the sizes of the tagged tuples that `init` makes, of those that have one size."""
    found: dict[str, set[int]] = {}
    for name in reached(functions, INIT):
        for tag, size in functions[name].records:
            found.setdefault(tag, set()).add(size)
    return {tag: min(sizes) for tag, sizes in found.items() if len(sizes) == 1}


def begun(functions: Functions) -> frozenset[str]:
    """Return the keys of the maps that `init` makes or reads."""
    return frozenset(k for name in reached(functions, INIT) for k in functions[name].keys)
