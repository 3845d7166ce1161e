"""A `code_change` to begin with, as the lines of a comment: what is known is filled in, what is not is `...`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def stub(was: Collection[str], now: Collection[str], vsn: str, kept: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a method for a state whose entries were *was* and are *now*.

    *vsn* is the older version, *kept* names the classes of instances that the state holds.
    """
    more, less = _entries(set(now) - set(was)), _entries(set(was) - set(now))
    yield "    def code_change(self, old_vsn, state, extra):"
    yield "        match old_vsn:"
    yield f"            case Down():  # back to {vsn}"
    yield f"                return {_rebuilt(less, more)}"
    yield "            case _:"
    yield f"                return {_rebuilt(more, less)}"
    if kept:
        names = ", ".join(dict.fromkeys(kept))
        yield f"  instances of {names} in the state are of the old class: migrate(old, {kept[0]}, ...) makes new ones,"
        yield f"  and on the way down migrate(new, counterpart({kept[0]}), ...) old ones"


def _entries(keys: Collection[str]) -> list[str]:
    """Return the keys among what is named of a state, as they are written; attributes are somebody else's."""
    return sorted(k[1:-1] for k in keys if k.startswith("["))


def _rebuilt(more: list[str], less: list[str]) -> str:
    """Return an expression for the mapping `state` with entries more and less; the state itself when none are known."""
    added = ", ".join(f"{key}: ..." for key in more)
    if not less:
        return f"{{**state, {added}}}" if more else "state"
    kept = f"{{k: v for k, v in state.items() if k not in {{{', '.join(less)}}}}}"
    return f"{kept} | {{{added}}}" if more else kept
