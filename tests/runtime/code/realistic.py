"""A release as people write them: what classes, decorators, caches and registries do while they are imported.

Some 200 functions and 54 classes in twelve modules; every version has the same shape, and values of its own. What
outlives a module in a careless reloader is all here: abstract classes and what is registered with them,
`__init_subclass__`, enums, dataclasses with slots, caches, generics that `typing` keeps, single dispatch, weak
references, loggers.
"""

from __future__ import annotations

PACKAGE = """
    from shop.errors import *
    from shop.models import Account, Color, Point
    from shop import registry, models as m
    import shop.dispatch
    __vsn__ = "{0}"
    __all__ = ["Account", "Color", "Failure", "Missing", "Point"]
"""
ERRORS = """
    __all__ = ["Failure", "Missing"]
    class Failure(Exception):
        code = {0}
    class Missing(Failure, LookupError): ...
    class Refused(Failure): ...
    class Late(Failure, TimeoutError): ...
    class Many(ExceptionGroup): ...
    class Old(DeprecationWarning): ...
    class Closed(Failure, ConnectionError): ...
    class Full(Failure): ...
    class Empty(Failure): ...
"""
BASE = """
    import abc
    from collections.abc import Sequence, Mapping, Sized
    from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable
    T = TypeVar("T")
    K = TypeVar("K", bound="Plugin")
    class Meta(type):
        made: ClassVar[list[str]] = []
        def __new__(mcs, name, bases, space):
            mcs.made.append(name)
            return super().__new__(mcs, name, bases, space)
    class Plugin:
        known: ClassVar[dict[str, type]] = {{}}
        def __init_subclass__(cls, key: str = "", **more: Any) -> None:
            super().__init_subclass__(**more)
            Plugin.known[key or cls.__name__] = cls
    class Store(abc.ABC, Generic[T]):
        @abc.abstractmethod
        def get(self, key: str) -> T: ...
    @runtime_checkable
    class Named(Protocol):
        name: str
    class Rows(Sized):
        def __len__(self): return {0}
    class Columns:
        def __len__(self): return {0}
        def __getitem__(self, index): return index
    Sequence.register(Columns)
    @Mapping.register
    class Table: ...
    class Shape(metaclass=Meta): ...
    class Round(Shape): ...
    isinstance(Columns(), Sequence), isinstance([], Store), issubclass(Rows, Mapping), isinstance(Rows(), Sized)
"""
MODELS = """
    from __future__ import annotations
    import enum
    from dataclasses import dataclass, field
    from typing import NamedTuple, NewType, TypedDict
    from shop.base import Plugin, Store, T, Shape
    Key = NewType("Key", str)
    class Color(enum.Enum):
        RED = {0}
        BLUE = "blue"
    class Flag(enum.IntFlag):
        A = enum.auto()
        B = enum.auto()
    class Size(enum.StrEnum):
        BIG = "big"
    @enum.unique
    class Level(enum.IntEnum):
        LOW = 1
        HIGH = {0} + 1
    @dataclass
    class Account:
        n: int = {0}
        color: Color = Color.RED
        items: list[Account] = field(default_factory=list)
        class Inner: ...
    @dataclass(frozen=True, slots=True, order=True)
    class Point:
        x: int
        y: int = {0}
    @dataclass(kw_only=True)
    class Wide(Account):
        z: float = 0.0
    class Pair(NamedTuple):
        left: int
        right: Color = Color.BLUE
    class Row(TypedDict, total=False):
        name: str
        n: int
    class Memory(Store[int]):
        def get(self, key): return {0}
    class Other(Store[T]):
        def get(self, key): return key
    class Square(Shape): ...
    class Mail(Plugin, key="mail"): ...
    class Post(Plugin): ...
    DEFAULT = Account()
    ORIGIN = Point(0)
"""
REGISTRY = """
    import functools, logging, weakref
    from shop import base
    HANDLERS = {{}}
    LIVE = weakref.WeakSet()
    BY_NAME = weakref.WeakValueDictionary()
    NOTES = weakref.WeakKeyDictionary()
    log = logging.getLogger(__name__)
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    def handler(name, *, again=1):
        def register(function):
            @functools.wraps(function)
            def called(*args, **named):
                return [function(*args, **named) for _ in range(again)]
            HANDLERS[name] = called
            return called
        return register
    class Handled(base.Plugin, key="handled"):
        def __init__(self):
            LIVE.add(self)
            BY_NAME["it"] = self
            NOTES[self] = log
    @handler("first")
    def first(x): return x + {0}
    @handler("second", again=2)
    def second(x): return x
    HELD = Handled()
    weakref.finalize(HELD, print)
    gone = weakref.ref(HELD, lambda _: None)
"""
DISPATCH = """
    import contextlib, functools, operator
    from collections.abc import Callable, Iterator
    from functools import cached_property, lru_cache, partial, partialmethod, singledispatch, singledispatchmethod
    from typing import Annotated, Generic, Literal, Optional, ParamSpec, Union, overload
    from shop.base import T, Store
    from shop.models import Account, Color, Point
    P = ParamSpec("P")
    @singledispatch
    def shown(x): return "thing"
    @shown.register
    def _(x: Account): return "account"
    @shown.register(Color)
    @shown.register(Point)
    def _(x): return "other"
    @lru_cache(maxsize=None)
    def cached(x): return Account(x)
    @functools.cache
    def nothing(): return None
    @overload
    def both(x: int) -> int: ...
    @overload
    def both(x: Account) -> Account: ...
    def both(x): return x
    @contextlib.contextmanager
    def opened(account: Optional[Account] = None) -> Iterator[Account]:
        yield account
    def typed(a: Account | None, b: dict[str, list[Account]], c: Union[Account, Color, None] = None,
              d: Annotated[Point, {0}] = None, e: Literal["a", {0}] = "a", f: Callable[[Account], Point] = None): ...
    class Shown:
        @singledispatchmethod
        def of(self, x): return x
        @of.register
        def _(self, x: Account): return "account"
        @cached_property
        def slow(self): return {0}
        quick = partialmethod(lambda self, n: n, {0})
        __slots__ = ("__dict__", "__weakref__")
    class Box(Generic[T]):
        item: Optional[Account] = None
    class Of(Box[Account]): ...
    @functools.total_ordering
    class Ranked:
        def __lt__(self, other): return True
        def __eq__(self, other): return True
        __hash__ = None
    Alias = Box[Union[Account, Point]]
    Deep = dict[str, Optional[Box[Color]]]
    double = partial(operator.mul, 2)
    shown(Account()), shown(Color.RED), shown(1), cached(1), cached(2), nothing(), Shown().of(Account()), Shown().slow
"""
CONTEXT = """
    import threading, asyncio, re, decimal, string, types
    from contextvars import ContextVar, copy_context
    from shop import Account
    current = ContextVar("current", default=Account())
    local = threading.local()
    local.account = Account()
    lock = threading.Lock()
    pattern = re.compile(r"shop-(\\d+)-{0}")
    class Local(threading.local):
        account = Account()
    here = Local()
    copied = copy_context()
    copied.run(current.set, Account(5))
    class Text(string.Template):
        delimiter = "%"
    class Descriptor:
        def __set_name__(self, owner, name): self.owner = owner
        def __get__(self, instance, owner=None): return {0}
    class Owner:
        value = Descriptor()
        def __class_getitem__(cls, item): return types.GenericAlias(cls, item)
    made = type("Made", (Owner,), {{"x": {0}}})
    space = types.SimpleNamespace(cls=Owner, of=Owner[int])
    async def wait(): await asyncio.sleep(0)
    def count():
        yield from (Owner, {0})
    counting = count()
    next(counting)
"""
SUB = """
    from .part import *
    from .. import models, errors as e
    from ..models import Account as A
    class InSub(A): ...
"""
PART = """
    from shop.errors import Missing as Gone
    class Part:
        raises = Gone
    def part(x=Part): return x
"""
STEADY = """
    from shop.models import Account, Color
    from shop import registry, Failure
    import shop.dispatch as d
    def use(a: Account, b: list[Account], c: Color) -> Failure: return d.shown(a)
"""


def filler(count: int) -> str:
    """Return functions and classes without any peculiarity."""
    lines = [
        f"def f{n}(x={n}):\n    return lambda: x + {{0}} + f{(n + 1) % count}.__defaults__[0]" for n in range(count)
    ]
    lines += [f"class C{n}:\n    def a(self): return C{n}\n    b = property(a)" for n in range(count // 20)]
    return "\n".join(lines) + "\n"


FILES = {
    "shop/__init__.py": PACKAGE,
    "shop/errors.py": ERRORS,
    "shop/base.py": BASE,
    "shop/models.py": MODELS,
    "shop/registry.py": REGISTRY,
    "shop/dispatch.py": DISPATCH,
    "shop/context.py": CONTEXT,
    "shop/sub/__init__.py": SUB,
    "shop/sub/part.py": PART,
    "shop/more.py": filler(80),
    "shop/most.py": filler(80),
}


def release(vsn: int) -> dict[str, str]:
    """Return the files of one version, by path; `shop/steady.py`, which never changes, is not among them."""
    return {file: text.format(vsn) for file, text in FILES.items()}
