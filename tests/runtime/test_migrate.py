"""migrate: values of old classes become values of new ones, field by field, without running any of their code."""

from __future__ import annotations

import gc
import weakref
from abc import ABC, abstractmethod
from dataclasses import InitVar, dataclass, field, make_dataclass
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relup.runtime import Down, migrate


@dataclass
class Old:
    name: str
    count: int
    gone: str = "gone"


@dataclass
class Plain:
    name: str
    count: int
    tags: list[str] = field(default_factory=list)
    unit: str = "piece"
    limit: ClassVar[int] = 3

    def __post_init__(self) -> None:
        raise AssertionError("migrate runs no __post_init__")


@dataclass(frozen=True)
class Frozen:
    name: str
    count: int


@dataclass(slots=True)
class Slotted:
    name: str
    count: int
    extra: int = 7


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    name: str
    count: int


class Tuple(NamedTuple):
    name: str
    count: int
    extra: int = 7


class Ordinary:
    def __init__(self) -> None:
        raise AssertionError("migrate runs no __init__")


class Slots:
    __slots__ = ("__weakref__", "_private", "count", "name")


old_values = (
    Old("a", 1),
    Frozen("a", 1),
    Slotted("a", 1),
    FrozenSlotted("a", 1),
    Tuple("a", 1),
    {"name": "a", "count": 1},
)


@pytest.mark.parametrize("old", old_values, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("cls", [Plain, Frozen, Slotted, FrozenSlotted, Tuple, Ordinary])
def test_every_kind_of_class_becomes_every_other(old: Any, cls: type) -> None:
    new: Any = migrate(old, cls)
    assert type(new) is cls
    assert (new.name, new.count) == ("a", 1)
    changed: Any = migrate(old, cls, count=2)
    assert (changed.name, changed.count) == ("a", 2)


def test_defaults_are_filled_and_factories_are_called_for_each() -> None:
    one, two = migrate(Old("a", 1), Plain), migrate(Old("b", 2), Plain)
    assert (one.tags, one.unit) == ([], "piece")
    assert one.tags is not two.tags
    assert not hasattr(one, "gone")
    assert not hasattr(one, "limit") or "limit" not in vars(one)


def test_it_is_shallow_and_leaves_the_old_value_alone() -> None:
    old = Plain.__new__(Plain)
    old.__dict__ |= {"name": "a", "count": 1, "tags": ["x"], "unit": "kg"}
    new = migrate(old, Plain, name="b")
    assert new.tags is old.tags
    assert old.name == "a"


def test_every_missing_and_unknown_name_is_said_at_once() -> None:
    with pytest.raises(TypeError, match=r"FrozenSlotted: missing name, count; unknown more, less"):
        migrate({}, FrozenSlotted, more=1, less=2)
    with pytest.raises(TypeError, match=r"Tuple: missing count; unknown x"):
        migrate({"name": "a"}, Tuple, x=1)
    with pytest.raises(TypeError, match=r"Slots: missing _private"):
        migrate(Old("a", 1), Slots)


@pytest.mark.parametrize("cls", [dict, list, int, str, tuple, set])
def test_classes_built_on_contents_are_refused_and_how_one_makes_them_is_said(cls: type) -> None:
    with pytest.raises(TypeError, match=rf"a {cls.__name__} is what it contains: make it with Sub\(old\)"):
        migrate(Old("a", 1), type("Sub", (cls,), {}))


class Colour(Enum):
    RED = 1


class Abstract(ABC):
    @abstractmethod
    def act(self) -> None: ...


@pytest.mark.parametrize(
    ("old", "cls", "words"),
    [
        (Colour.RED, Colour, r"take Colour\[old.name\]"),
        (Old, Plain, "an instance of the old class, not a class"),
        (Plain, Old("a", 1), "makes an instance of a class, and Old.* is none"),
        (Old("a", 1), Abstract, "abstract"),
    ],
)
def test_what_an_author_may_mistake_is_said(old: Any, cls: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        migrate(old, cls)


@dataclass(kw_only=True)
class Base:
    key: str
    made: int = field(init=False)
    given: InitVar[int] = 3


@dataclass(kw_only=True, slots=True)
class Derived(Base):
    more: list[int] = field(default_factory=list)
    last: int


def test_fields_that_init_does_not_take_and_those_of_bases_are_fields() -> None:
    old = Base.__new__(Base)
    old.__dict__ |= {"key": "k", "made": 4}
    new = migrate(old, Derived, last=5)
    assert (new.key, new.made, new.more, new.last) == ("k", 4, [], 5)
    with pytest.raises(TypeError, match="missing key, made, last"):
        migrate({}, Derived)
    with pytest.raises(TypeError, match="unknown given"):
        migrate(old, Derived, last=5, given=1)


@attrs.define
class AttrsOld:
    name: str
    _secret: int = 1


@attrs.frozen
class AttrsNew:
    name: str
    _secret: int = attrs.field(converter=str)
    tags: list[str] = attrs.field(factory=list)
    double: str = attrs.Factory(lambda self: self.name * 2, takes_self=True)
    needed: int = attrs.field(kw_only=True)


@pytest.mark.parametrize("old", [AttrsOld("a", 5), Old("a", 1), {"name": "a"}])
def test_attrs_classes_are_made_of_their_fields_private_ones_by_either_name(old: Any) -> None:
    new = migrate(old, AttrsNew, secret=7, needed=3)
    assert (new.name, new._secret, new.tags, new.double, new.needed) == ("a", 7, [], "aa", 3)
    assert migrate(old, AttrsNew, _secret=8, needed=3)._secret == 8
    with pytest.raises(TypeError, match="missing needed; unknown other"):
        migrate(AttrsOld("a", 5), AttrsNew, other=1)
    assert migrate(AttrsOld("a", 5), Old, count=1).name == "a"


class OldError(LookupError):
    def __init__(self, what: str, code: int) -> None:
        super().__init__(what)
        self.code = code


class NewError(ValueError):
    def __init__(self) -> None:
        raise AssertionError("migrate runs no __init__")


def test_an_exception_keeps_its_arguments_its_cause_and_its_traceback() -> None:
    try:
        raise OldError("no", 7) from KeyError("k")
    except OldError as error:
        old = error
    new: Any = migrate(old, NewError, code=8)
    assert (type(new), new.args, new.code) == (NewError, ("no",), 8)
    assert (new.__cause__, new.__traceback__) == (old.__cause__, old.__traceback__)
    assert old.code == 7


def test_what_a_class_computes_now_is_not_stored_and_cannot_be_given() -> None:
    class Before:
        def __init__(self) -> None:
            self.total = 5

    class After:
        @property
        def total(self) -> int:
            return 9

    assert (migrate(Before(), After).total, vars(migrate(Before(), After))) == (9, {})
    with pytest.raises(TypeError, match="After: computed by a property total"):
        migrate(Before(), After, total=1)


def test_attributes_beside_the_fields_come_along_but_no_caches() -> None:
    class Rich(Old):
        @cached_property
        def double(self) -> int:
            return self.count * 2

    old = Rich("a", 1)
    old.derived = "kept"  # type: ignore[attr-defined]
    assert old.double == 2
    new: Any = migrate(old, Rich, count=5)
    assert new.derived == "kept"
    assert new.double == 10


def test_slots_that_were_never_set_stay_unset() -> None:
    old = Slots()
    old.name = "a"
    new = migrate(old, Slots, count=3)
    assert (new.name, new.count) == ("a", 3)
    assert not hasattr(new, "_private")


def test_private_slots_keep_their_names() -> None:
    class Vault:
        __slots__ = ("__secret",)

        def __init__(self, secret: str) -> None:
            self.__secret = secret

        def open(self) -> str:
            return self.__secret

    assert migrate(Vault("gold"), Vault).open() == "gold"


def test_the_memo_keeps_no_class_alive() -> None:
    def version(default: Any) -> type:
        return make_dataclass("Version", [("name", str), ("more", Any, field(default_factory=lambda: default))])

    one, two = version([1]), version([2])
    migrate(migrate(one("a"), two), one)
    gone = weakref.ref(one), weakref.ref(two)
    del one, two
    gc.collect()
    assert [r() for r in gone] == [None, None]


names = st.sets(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1)


@given(names, names, st.booleans(), st.booleans())
def test_there_and_back_is_equal_when_nothing_was_dropped(old: Any, new: Any, slots: bool, frozen: bool) -> None:
    first = make_dataclass("First", [(n, int) for n in sorted(old)], slots=slots)
    second = make_dataclass("Second", [(n, int, field(default=0)) for n in sorted(old | new)], frozen=frozen)
    value = first(**{n: ord(n) for n in old})
    assert migrate(migrate(value, second), first) == value


def test_down_is_a_value() -> None:
    assert Down("2") == Down("2") != Down("3")
    assert {Down("2"): 1}[Down("2")] == 1
