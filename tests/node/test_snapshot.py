"""A remembered state can be put back into the same objects, whatever was done to them in place."""

from __future__ import annotations

import asyncio
import threading
from array import array
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from copy import deepcopy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relup.runtime import GenServer
from relup.runtime import Node as Runtime
from relup.targets.python.remembering import Remembering
from relup.targets.python.snapshot import Memory, holds, restore


class Slotted:
    __slots__ = ("__secret", "shown")

    def __init__(self) -> None:
        self.__secret = [1]
        self.shown = 2

    def spoil(self) -> None:
        self.__secret.append(9)
        self.__secret = [8]
        del self.shown

    def see(self) -> Any:
        return self.__secret, self.shown


class Rebellious(list[int]):
    def clear(self) -> None:
        raise AssertionError("not the base type's")

    def extend(self, values: Any) -> None:
        raise AssertionError("not the base type's")


class Queue(deque[int]):
    pass


def hostile(base: type, **more: Any) -> Any:
    """Return a class that extends *base* and shows nothing of what it holds: its own methods are of no use."""

    def lies(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("not the base type's")

    def nothing(self: Any) -> Any:
        return iter(())

    body: dict[str, Any] = dict.fromkeys(("__getitem__", "__setitem__", "copy", "update", "keys", "clear"), lies)
    body |= {"__iter__": nothing, "values": nothing, "items": nothing, "__len__": lambda self: 0}
    body |= {"__eq__": lambda self, other: True, "__ne__": lambda self, other: False, "__hash__": None}
    return type(f"Hostile{base.__name__}", (base,), {**body, **more})


class Multi(dict[str, list[int]]):
    """As in libraries for the web: it shows the first of each list."""

    def __getitem__(self, key: str) -> Any:
        return dict.__getitem__(self, key)[0]

    def __iter__(self) -> Any:
        return iter(sorted(dict.keys(self)))

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def values(self) -> Any:
        return [self[key] for key in self]


class Told(LookupError):
    args = ("something else",)  # type: ignore[assignment]


class Liar:
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Hidden:
    __slots__ = ("shown",)

    def __init__(self, shown: int) -> None:
        self.shown = shown


class Hiding(Hidden):
    shown = property(lambda self: 0)  # type: ignore[assignment]

    def __init__(self, shown: int) -> None:
        Hidden.shown.__set__(self, shown)  # type: ignore[attr-defined]


class Pair(NamedTuple):
    left: list[int]
    right: int


@dataclass(frozen=True)
class Frozen:
    items: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class Node:
    name: str
    next: Any = None


class Line(asyncio.Protocol):
    def __init__(self) -> None:
        self.rest = b"abc"


def memory() -> Memory:
    return Memory(lambda kind: kind.__module__ == __name__ or kind.__name__.startswith("Hostile"))


def ordered() -> OrderedDict[str, int]:
    return OrderedDict(a=1, b=2, c=3)


def of(read: Any) -> Any:
    """Return what shows what a container really holds."""
    return lambda container: repr(list(read(container)))


def fill(base: Any, **entries: Any) -> Any:
    made = hostile(base)()
    for key, value in entries.items():
        base.__setitem__(made, key, value)
    return made


def raised(error: BaseException) -> Any:
    return vars(BaseException)["args"].__get__(error)


CASES: dict[str, tuple[Any, Any, Any]] = {
    "dict": (lambda: {"a": [1]}, lambda s: (s["a"].append(2), s.update(b=1)), repr),
    "ordered dict": (ordered, lambda s: (s.move_to_end("a"), s.pop("b")), lambda s: list(s.items())),
    "default dict": (lambda: defaultdict(list, a=[1]), lambda s: s["b"].append(1), repr),
    "counter": (lambda: Counter("aab"), lambda s: s.update("zz"), repr),
    "deque": (lambda: deque([1, 2], maxlen=2), lambda s: s.append(3), repr),
    "set": (lambda: {1, 2}, lambda s: s.add(3), sorted),
    "bytearray": (lambda: bytearray(b"ab"), lambda s: s.extend(b"c"), bytes),
    "array": (lambda: array("i", [1, 2]), lambda s: s.append(3), list),
    "namespace": (lambda: SimpleNamespace(a=[1]), lambda s: (s.a.append(2), setattr(s, "b", 1)), repr),
    "user dict": (lambda: UserDict(a=[1]), lambda s: s.update(b=2), repr),
    "slots": (Slotted, lambda s: s.spoil(), lambda s: s.see()),
    "list subclass": (lambda: Rebellious([1]), lambda s: s.append(2), list),
    "deque subclass": (lambda: Queue([1]), lambda s: s.append(2), list),
    "multi dict": (lambda: Multi(b=[1, 2], a=[3]), lambda s: dict.__getitem__(s, "b").append(4), of(dict.items)),
    "multi dict replaced": (lambda: Multi(b=[1, 2], a=[3]), lambda s: dict.update(s, b=[1]), of(dict.items)),
    "hostile dict": (lambda: fill(dict, a=[1]), lambda s: dict.pop(s, "a").append(2), of(dict.items)),
    "hostile ordered dict": (
        lambda: fill(OrderedDict, a=[1], b=[2]),
        lambda s: (dict.get(s, "b").append(3), OrderedDict.move_to_end(s, "a")),
        of(OrderedDict.items),
    ),
    "hostile list": (lambda: hostile(list)([[1]]), lambda s: list.pop(s).append(2), of(list.__iter__)),
    "hostile deque": (lambda: hostile(deque)([[1]], 4), lambda s: deque.pop(s).append(2), of(deque.__iter__)),
    "hostile set": (lambda: hostile(set)([1]), lambda s: set.add(s, 2), of(set.__iter__)),
    "hostile tuple": (lambda: hostile(tuple)(([1],)), lambda s: tuple.__getitem__(s, 0).append(2), of(tuple.__iter__)),
    "hostile bytearray": (lambda: hostile(bytearray)(b"ab"), lambda s: s.append(3), of(bytearray.__iter__)),
    "hostile array": (lambda: hostile(array)("i", [1]), lambda s: s.append(3), of(array.__iter__)),
    "hostile error": (lambda: Told([1]), lambda s: raised(s)[0].append(2), raised),
    "named tuple": (lambda: Pair([1], 2), lambda s: s.left.append(3), repr),
    "frozen dataclass": (Frozen, lambda s: s.items.clear(), repr),
    "an equal number": (lambda: {"a": 1}, lambda s: s.update(a=True), repr),
    "an equal number in a set": (lambda: {1}, lambda s: (s.clear(), s.add(True)), repr),
    "another order": (lambda: {"a": 1, "b": 2}, lambda s: s.update(a=s.pop("a")), list),
    "what says that it is equal": (
        lambda: [Liar(1)],
        lambda s: s.append(Liar(s.pop().number + 1)),
        lambda s: s[0].number,
    ),
    "a default factory": (
        lambda: defaultdict(int),
        lambda s: setattr(s, "default_factory", str),
        lambda s: str(s.default_factory),
    ),
    "a slot that a property hides": (
        lambda: Hiding(1),
        lambda s: Hidden.shown.__set__(s, 2),  # type: ignore[attr-defined]
        Hidden.__dict__["shown"].__get__,  # type: ignore[attr-defined]
    ),
    "a note of an error": (lambda: ValueError("a"), lambda s: s.add_note("b"), lambda s: getattr(s, "__notes__", None)),
    "class changed": (lambda: Node("a"), lambda s: setattr(s, "__class__", type("X", (), {})), type),
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_what_was_done_in_place_is_put_back(case: str, together: bool) -> None:
    make, spoil, see = CASES[case]
    state = make()
    before = deepcopy(see(make()))
    others = [make() for _ in range(20)]
    snapshot = memory().remember_all([*others, state]) if together else memory().remember(state)
    assert holds(snapshot)
    spoil(state)
    assert not holds(snapshot)
    restore(snapshot)
    assert see(state) == before
    assert holds(snapshot)


def test_cycles_and_shared_objects_keep_their_identity() -> None:
    shared = [1]
    first = Node("first", shared)
    state = {"first": first, "second": Node("second", first), "shared": shared}
    first.next = state
    snapshot = memory().remember(state)
    shared.append(2)
    first.next = None
    state.clear()
    restore(snapshot)
    assert state["first"] is first
    assert first.next is state
    assert state["shared"] is shared == [1]


def test_what_has_a_life_of_its_own_is_left_alone() -> None:
    line, lock = Line(), threading.Lock()
    snapshot = memory().remember({"line": line, "lock": lock, "class": Node})
    line.rest = b"more"
    restore(snapshot)
    assert line.rest == b"more"


def test_keys_are_not_asked_for_their_hashes_again() -> None:
    """They may have others by then, and a dictionary that is put back finds them where they were."""
    hashes = [1]

    class Key:
        def __hash__(self) -> int:
            return hashes[-1]

    state = {Key(): 1}
    hashes.append(2)
    snapshot = memory().remember(state)
    state.clear()
    restore(snapshot)
    hashes.pop()
    assert state[next(iter(state))] == 1


plain = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


@given(plain, st.data())
def test_any_plain_state_comes_back(state: Any, data: st.DataObject) -> None:
    before = repr(state)
    snapshot = memory().remember(state)
    for container, _, _ in snapshot:
        if data.draw(st.booleans()):
            container.clear()
    restore(snapshot)
    assert repr(state) == before


class Keeper(GenServer):
    def init(self, state: Any) -> Any:
        return state


def test_a_state_that_somebody_else_holds_is_looked_at_again_in_the_window() -> None:
    async def scenario() -> None:
        async with Runtime(name="shop") as node:
            shared = {"a": 1}
            alone, together = [node.process(await node.start(Keeper, s)) for s in ({"a": 1}, shared)]
            remembering = Remembering(memory())
            await remembering.take([alone, together])
            shared["a"] = 2
            assert [c for _, c, _ in remembering.of(together, __name__)] == [{"a": 2}]
            assert [c for _, c, _ in remembering.of(alone, __name__)] == [{"a": 1}]

    asyncio.run(scenario())
