"""Servers whose live states do not fit the next release: what a draft says of each, and how it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent

HEAD = """
from collections import deque
from dataclasses import KW_ONLY, InitVar, dataclass, field
from enum import Enum, Flag
from types import NoneType
from typing import Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar
import attrs
from relup.runtime import Down, GenServer, Reply, counterpart, migrate
T = TypeVar("T")
"""
SERVER = """
class Server(GenServer):
    def init(self, number):
        return {state}

    def handle_call(self, request, caller, state):
        return Reply(repr(state), state)
"""


@dataclass(frozen=True)
class Case:
    """Two versions of a module, and what is live of it: a server for each of `count` numbers."""

    old: str
    new: str
    """Classes of the module, and after a line `state:` what `init` returns."""
    said: Sequence[str] = ()
    unsaid: Sequence[str] = ()
    source: Sequence[str] = ()
    asked: Sequence[str] = ()
    """Of a `code_change` that is there: what it does not mention."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Texts of the draft that are replaced, in its order, each once."""
    was: str = ""
    now: str = ""
    back: str = ""
    """The state of the first server: before, after the upgrade, and after the downgrade (by default as before)."""
    count: int = 1
    shared: tuple[str, str] = ("", "")
    """Two versions of another module, which it may import from: `<case>_model`."""


def module(text: str) -> str:
    """Return the text of a module of a case."""
    classes, _, state = dedent(text).partition("state:")
    more = state.strip().partition("\n")
    return HEAD + classes + SERVER.format(state=more[0]) + more[2]


GRAPHS = """
            import random
            @dataclass
            class Node:
                name: str
                kids: "list[Node | Leaf | Mark]"
                named: dict
                parent: Any = None{more}
            @dataclass(frozen=True)
            class Leaf:
                of: Node
                more: list{more}
            class Mark:
                def __init__(self, to):
                    self.to = to{set}
            @dataclass
            class Graphs:
                tops: list
                def __repr__(self):
                    return f"as made: {{written(self, {{}}) == written(full(), {{}})}}"
            def written(value, seen):  # what is met again by the number of where it was met first
                if isinstance(value, (str, int, NoneType)):
                    return repr(value)
                if id(value) in seen:
                    return f"#{{seen[id(value)]}}"
                seen[id(value)] = len(seen)
                if isinstance(value, (list, tuple)):
                    parts = [written(part, seen) for part in value]
                else:
                    pairs = value if isinstance(value, dict) else vars(value)
                    parts = [f"{{k}}: {{written(v, seen)}}" for k, v in sorted(pairs.items()) if k != "fresh"]
                return f"{{type(value).__name__}}({{', '.join(parts)}})"
            def graph(draw):
                nodes = [Node(f"node {{n}}", [], {{}}) for n in range(draw.randint(1, 5))]
                leaves = [Leaf(draw.choice(nodes), []) for _ in range(draw.randint(1, 3))]
                marks = [Mark(draw.choice(nodes)) for _ in range(2)]
                lists = [n.kids for n in nodes]
                for node in nodes:
                    node.kids += draw.choices([*nodes, *leaves, *marks], k=draw.randint(0, 3))
                    node.named |= {{name: draw.choice(nodes) for name in draw.choices("abc", k=2)}}
                    node.parent = draw.choice([None, *nodes])
                    node.kids = draw.choice([node.kids, node.kids, *lists])
                for leaf in leaves:
                    leaf.more.extend(draw.choices([*nodes, *leaves], k=draw.randint(0, 2)))
                return [draw.choice(nodes), {{"x": draw.choice(nodes)}}, (draw.choice(leaves),), draw.choice(lists)]
            def full():
                return Graphs([graph(random.Random(seed)) for seed in range(30)])
            state: full()
"""
"""Objects that lead to each other in every way, in a version without and one with something new in all of them."""

TUPLES = """
            import random
            class Node(NamedTuple):
                name: str
                kids: "list[Node | Pair]"
                named: "dict[str, Node]"
                others: "Kids"
                parent: "Node | None"
                mark: "Mark"{more}
            class Pair(NamedTuple):
                one: "Node | None"
                pairs: "deque[Pair]"{more}
            class Kids(list): ...
            @dataclass
            class Mark:
                to: "Node | None"{more}
            @dataclass
            class Graphs:
                tops: list
                def __repr__(self):
                    return f"as made: {{written(self, {{}}) == written(full(), {{}})}}"
            def written(value, seen):  # what is met again by the number of where it was met first
                if isinstance(value, (str, int, NoneType)):
                    return repr(value)
                if id(value) in seen:
                    return f"#{{seen[id(value)]}}"
                seen[id(value)] = len(seen)
                if isinstance(value, (list, deque)):
                    parts = [written(part, seen) for part in value]
                else:
                    pairs = value._asdict() if isinstance(value, tuple) else getattr(value, "__dict__", value)
                    parts = [f"{{k}}: {{written(v, seen)}}" for k, v in sorted(pairs.items()) if k != "fresh"]
                current = type(value) is globals().get(type(value).__name__, type(value))
                return f"{{type(value).__name__}}({{current}}, {{', '.join(parts)}})"
            def graph(draw):
                nodes, pairs = [], []
                for n in range(draw.randint(1, 5)):
                    nodes.append(Node(f"node {{n}}", [], {{}}, Kids(), draw.choice([None, *nodes]), Mark(None)))
                for _ in range(draw.randint(1, 3)):
                    lists = [deque([], 5), *(p.pairs for p in pairs)]
                    pairs.append(Pair(draw.choice([None, *nodes]), draw.choice(lists)))
                for node in nodes:
                    node.kids.extend(draw.choices([*nodes, *pairs], k=draw.randint(0, 3)))
                    node.named.update({{name: draw.choice(nodes) for name in draw.choices("abc", k=2)}})
                    node.others.extend(draw.choices(nodes, k=draw.randint(0, 2)))
                    node.mark.to = draw.choice([None, *nodes])
                for pair in pairs:
                    pair.pairs.extend(draw.choices(pairs, k=draw.randint(0, 2)))
                one, other = draw.choices(nodes, k=2)
                return [one, {{"x": other}}, draw.choice(pairs), draw.choice(nodes).kids, other.mark]
            def full():
                return Graphs([graph(random.Random(seed)) for seed in range(30)])
            state: full()
"""
"""Tuples with names that lead back to themselves through what is filled later."""

CASES: Mapping[str, Case] = {
    "tuples_with_names_in_a_circle": Case(
        old=TUPLES.format(more=""),
        new=TUPLES.format(more="\n                fresh: int = 0"),
        said=["+ fresh: int = 0 of Node", "+ fresh: int = 0 of Pair"],
        source=["kids=grown(old.kids, [], lambda made: made.extend(["],
        was="as made: True",
        now="as made: True",
    ),
    "tuples_with_names_in_a_tree": Case(
        old="""
            class Node(NamedTuple):
                name: str
                kids: "tuple[Node, ...]" = ()
            state: Node("a", (Node("b"),))
        """,
        new="""
            class Node(NamedTuple):
                name: str
                kids: "tuple[Node, ...]" = ()
                size: int = 0
            state: Node("a")
        """,
        said=["+ size: int = 0 of Node"],
        source=["return migrate(old, Node, kids=tuple(newer_node(item) for item in old.kids))"],
        was="Node(name='a', kids=(Node(name='b', kids=()),))",
        now="Node(name='a', kids=(Node(name='b', kids=(), size=0),), size=0)",
    ),
    "graphs": Case(
        old=GRAPHS.format(more="", set=""),
        new=GRAPHS.format(more="\n                fresh: int = 0", set="\n                    self.fresh = 0"),
        said=["+ fresh: int = 0 of Node", "+ fresh: int = 0 of Leaf", "+ self.fresh = 0 of Mark"],
        source=["object.__setattr__(made, 'more', "],
        was="as made: True",
        now="as made: True",
    ),
    "new_with_defaults": Case(
        old="""
            @dataclass
            class Cart:
                owner: str
            state: Cart(f"secret{number}")
        """,
        new="""
            @dataclass(kw_only=True, slots=True)
            class Cart:
                MOST: ClassVar[int] = 3
                scale: InitVar[int] = 1
                owner: str
                _: KW_ONLY
                seen: int = 0
                log: list[str] = field(default_factory=list)
            state: Cart(owner="o")
        """,
        said=["+ seen: int = 0 of Cart is new in 2, and begins with 0", "log: list[str] = field(default_factory=list)"],
        source=["return migrate(state, Cart)", "return migrate(state, counterpart(Cart))", "seen, log"],
        was="Cart(owner='secret0')",
        now="Cart(owner='secret0', seen=0, log=[])",
    ),
    "new_without_default_and_dropped": Case(
        old="""
            @dataclass
            class Cart:
                items: list
                note: str | None
            state: Cart([1], f"secret{number}" if number else None)
        """,
        new="""
            @dataclass
            class Cart:
                items: list
                limit: int
            state: Cart([1], 3)
        """,
        said=[
            "+ limit: int of Cart is new in 2, and has no default",
            "- note (NoneType or str) of Cart is gone in 2: 2 of 3 live ones have a value there, which is lost",
        ],
        source=["TODO: limit: int is new and has no default", "TODO: note: str | None is back in 1"],
        answers={"note=TODO": "note=None", "limit=TODO": "limit=9"},
        was="Cart(items=[1], note=None)",
        now="Cart(items=[1], limit=9)",
        count=3,
    ),
    "renamed": Case(
        old="""
            @dataclass
            class Cart:
                total_price: int
                owner: str = ""
            state: Cart(7)
        """,
        new="""
            @dataclass
            class Cart:
                price_total: int = 0
                owner: str = ""
            state: Cart(7)
        """,
        said=["? price_total may be what total_price was"],
        source=["is it total_price (int)? then state.total_price, else its default 0"],
        answers={
            "total_price=TODO": "total_price=state.price_total",
            "price_total=TODO": "price_total=state.total_price",
        },
        was="Cart(total_price=7, owner='')",
        now="Cart(price_total=7, owner='')",
    ),
    "another_type": Case(
        old="""
            @dataclass
            class Cart:
                number: int
                parts: list[int]
                same: float = 0.0
            state: Cart(7, [1], 3)
        """,
        new="""
            @dataclass
            class Cart:
                number: str
                parts: list[str]
                same: float = 0.0
            state: Cart("7", ["1"])
        """,
        said=["~ live values of number are int, and it is str in 2", "~ live values of parts are list of int"],
        source=["is it str(state.number)?", "is it int(state.number)?"],
        answers={
            "number=TODO": "number=int(state.number)",
            "parts=TODO": "parts=[int(p) for p in state.parts]",
            "number=TODO,": "number=str(state.number),",
            "parts=TODO,": "parts=[str(p) for p in state.parts],",
        },
        was="Cart(number=7, parts=[1], same=3)",
        now="Cart(number='7', parts=['1'], same=3)",
    ),
    "inside": Case(
        shared=(
            """
            from dataclasses import dataclass
            from enum import Enum
            class Color(Enum):
                RED = 1
            @dataclass
            class Base:
                sku: str
            @dataclass
            class Item(Base):
                price: int
                color: Color = Color.RED
            """,
            """
            from dataclasses import dataclass
            from enum import Enum
            class Color(Enum):
                RED = 1
                BLUE = 2
            @dataclass
            class Base:
                sku: str
                vat: int = 19
            @dataclass(kw_only=True)
            class Item(Base):
                price: int
                color: Color = Color.RED
                currency: str
            """,
        ),
        old="""
            from shop.inside_model import Item
            @dataclass
            class Cart:
                items: list[Item]
                best: Item | None
                named: dict[str, list[Item]]
                pair: tuple[Item, ...] = ()
            state: Cart([Item("a", 1)], None, {f"secret{number}": [Item("b", 2)]}, (Item("c", 3),))
        """,
        new="""
            from shop.inside_model import Item
            @dataclass
            class Cart:
                items: list[Item]
                best: Item | None
                named: dict[str, list[Item]]
                pair: tuple[Item, ...] = ()
            state: Cart([], None, {})
        """,
        said=[
            "states lead 3 times to Item of shop.inside_model",
            "* BLUE of Color is new in 2: what is one by then does not go back",
            "+ currency: str of Item",
            "+ vat: int = 19 of Item",
        ],
        source=[
            "# needs: from shop.inside_model import Color",
            "items=[newer_item(item) for item in state.items]",
            "named={key: [newer_item(item2) for item2 in item] for key, item in state.named.items()}",
            "pair=tuple(older_item(item) for item in state.pair)",
            "color=Color[old.color.name]",
            "# what has no way back: BLUE",
        ],
        answers={"currency=TODO": 'currency="EUR"'},
        was="Cart(items=[Item(sku='a', price=1, color=<Color.RED: 1>)], best=None, "
        "named={'secret0': [Item(sku='b', price=2, color=<Color.RED: 1>)]}, "
        "pair=(Item(sku='c', price=3, color=<Color.RED: 1>),))",
        now="Cart(items=[Item(sku='a', vat=19, price=1, color=<Color.RED: 1>, currency='EUR')], best=None, "
        "named={'secret0': [Item(sku='b', vat=19, price=2, color=<Color.RED: 1>, currency='EUR')]}, "
        "pair=(Item(sku='c', vat=19, price=3, color=<Color.RED: 1>, currency='EUR'),))",
    ),
    "within_itself": Case(
        old="""
            @dataclass
            class Node:
                name: str
                children: list["Node"]
            state: [Node("a", [Node("b", [])]), deque([Node("c", [])], 3)]
        """,
        new="""
            @dataclass
            class Node:
                name: str
                children: list["Node"]
                depth: int = 0
            state: [Node("a", [])]
        """,
        said=["states lead 3 times to Node"],
        source=["made.children = [newer_node(item) for item in old.children]", ".maxlen"],
        was="[Node(name='a', children=[Node(name='b', children=[])]), deque([Node(name='c', children=[])], maxlen=3)]",
        now="[Node(name='a', children=[Node(name='b', children=[], depth=0)], depth=0), "
        "deque([Node(name='c', children=[], depth=0)], maxlen=3)]",
    ),
    "in_a_circle": Case(
        old="""
            @dataclass
            class Item:
                name: str
                owner: "Box"
            @dataclass
            class Box:
                items: list[Item]
                best: Item | None = None
            def full():
                box = Box([])
                box.items += [Item("a", box), Item("b", box)]
                box.best = box.items[1]
                return box
            state: {"box": full()}
        """,
        new="""
            @dataclass
            class Item:
                name: str
                owner: "Box"
                price: int = 0
            @dataclass
            class Box:
                items: list[Item]
                best: Item | None = None
            def full():
                return Box([])
            state: {"box": full()}
        """,
        said=["to Box of shop.in_a_circle", "to Item of shop.in_a_circle"],
        source=[
            "made.items = [newer_item(item) for item in old.items]",
            "return once(old, lambda: migrate(old, Item, owner=newer_box(old.owner)))",
            "return once(new, lambda: migrate(new, counterpart(Item), owner=older_box(new.owner)))",
        ],
        was="{'box': Box(items=[Item(name='a', owner=...), Item(name='b', owner=...)], "
        "best=Item(name='b', owner=...))}",
        now="{'box': Box(items=[Item(name='a', owner=..., price=0), Item(name='b', owner=..., price=0)], "
        "best=Item(name='b', owner=..., price=0))}",
    ),
    "shared": Case(
        old="""
            @dataclass
            class Item:
                name: str
            @dataclass
            class Cart:
                items: list[Item]
                best: Item
                shown: list[Item] | None = None
                tags: "dict[str, Item] | None" = None
            def full():
                item, other = Item("a"), Item("b")
                items = [item, other, item]
                return Cart(items, item, items, {"b": other})
            state: full()
        """,
        new="""
            @dataclass
            class Item:
                name: str
                price: int = 0
            @dataclass
            class Cart:
                items: list[Item]
                best: Item
                shown: list[Item] | None = None
                tags: "dict[str, Item] | None" = None
                def __repr__(self):  # says what is one and the same
                    one = self.items[0] is self.items[2] is self.best and self.tags["b"] is self.items[1]
                    return f"{len(self.items)} {one} {self.items is self.shown} {self.best}"
            def full():
                return Cart([], Item("a"))
            state: full()
        """,
        said=["to Item of shop.shared, which is loaded anew, and is made once where it is at several places"],
        source=["items=once(state.items, lambda: [newer_item(item) for item in state.items])", "best=newer_item("],
        was="Cart(items=[Item(name='a'), Item(name='b'), Item(name='a')], best=Item(name='a'), "
        "shown=[Item(name='a'), Item(name='b'), Item(name='a')], tags={'b': Item(name='b')})",
        now="3 True True Item(name='a', price=0)",
    ),
    "entries": Case(
        old="""
            state: {"items": [1], "note": f"secret{number}"} | ({"seen": 5} if number else {}) | {f"alice{number}@x": 1}
        """,
        new="""
            state: {"items": [], "seen": 0, "owner": str(number)}
        """,
        said=[
            "- note (str) of the state is gone in 2: 2 of 2",
            "+ 'owner' of the state is new in 2, and has no default",
        ],
        source=["'seen': 0,", "if k not in {'note'}", "'owner': TODO"],
        answers={"'note': TODO": "'note': ''", "'owner': TODO": "'owner': 'x'"},
        was="{'items': [1], 'note': 'secret0', 'alice0@x': 1}",
        now="{'seen': 0, 'items': [1], 'alice0@x': 1, 'owner': 'x'}",
        back="{'seen': 0, 'items': [1], 'alice0@x': 1, 'note': ''}",
        count=2,
    ),
    "renamed_entry": Case(
        old="""
            state: {"count": 1, "items": []}
        """,
        new="""
            state: {"total": 0, "items": []}
        """,
        said=["? total may be what count was"],
        source=["is it count (int)? then state['count'], else", "is it total (int)? then state['total'], else"],
        answers={"'count': TODO": "'count': state['total']", "'total': TODO": "'total': state['count']"},
        was="{'count': 1, 'items': []}",
        now="{'items': [], 'total': 1}",
        back="{'items': [], 'count': 1}",
    ),
    "typed_entries": Case(
        old="""
            class State(TypedDict):
                items: list[int]
                note: str
            state: State(items=[1], note="n")
        """,
        new="""
            class State(TypedDict):
                items: list[str]
                text: str
            state: State(items=[], text="")
        """,
        said=["? text may be what note was", "~ live values of items are list of int"],
        source=["state['note']"],
        answers={
            "'items': TODO": "'items': [int(i) for i in state['items']]",
            "'note': TODO": "'note': state['text']",
            "'items': TODO,": "'items': [str(i) for i in state['items']],",
            "'text': TODO": "'text': state['note']",
        },
        was="{'items': [1], 'note': 'n'}",
        now="{'items': ['1'], 'text': 'n'}",
    ),
    "a_number": Case(
        old="""
            state: 7
        """,
        new="""
            @dataclass
            class Count:
                value: int
                name: str = ""
            state: Count(0)
        """,
        said=["? live states are int, and begin as Count in 2"],
        source=["is value: int what the state (int) was? then state", "is it state.value?"],
        answers={"return TODO": "return state.value", "value=TODO": "value=state"},
        was="7",
        now="Count(value=7, name='')",
    ),
    "a_list": Case(
        old="""
            state: [f"secret{number}"]
        """,
        new="""
            @attrs.define
            class Cart:
                items: list[str]
                owner: str = "nobody"
                log: list = attrs.field(factory=list)
            state: Cart([])
        """,
        said=["? live states are list of str, and begin as Cart in 2"],
        source=["is items: list[str] what the state (list of str) was?"],
        answers={"return TODO": "return state.items", "items=TODO": "items=state", "log=TODO": "log=[]"},
        was="['secret0']",
        now="Cart(items=['secret0'], owner='nobody', log=[])",
    ),
    "a_list_to_entries": Case(
        old="""
            state: [1, 2]
        """,
        new="""
            state: {"members": [], "said": 0}
        """,
        said=["? live states are list of int, and begin with 'members', 'said' in 2"],
        source=["is this what the state (list of int) was? then state, else []", "is it state['members']?"],
        answers={"return TODO": "return state['members']", "'members': TODO": "'members': state"},
        was="[1, 2]",
        now="{'members': [1, 2], 'said': 0}",
    ),
    "begun_empty": Case(
        old="""
            state: dict([("items", number), ("note", 1)])
        """,
        new="""
            state: {}
        """,
        was="{'items': 0, 'note': 1}",
        now="{'items': 0, 'note': 1}",
    ),
    "entries_to_class": Case(
        old="""
            state: {"items": [1], "note": "n"}
        """,
        new="""
            @dataclass
            class Cart:
                items: list[int]
                owner: str = ""
            state: Cart([])
        """,
        said=["? live states are dict", "- note (str) of Cart is gone in 2: 1 of 1"],
        source=["TODO(state)", "'items': state.items"],
        answers={
            "TODO({": "dict({",
            "'note': TODO": "'note': ''",
            "TODO(state)": "state",
            "owner=TODO": "owner=state['note']",
        },
        was="{'items': [1], 'note': 'n'}",
        now="Cart(items=[1], owner='n')",
        back="{'items': [1], 'note': ''}",
    ),
    "several_forms": Case(
        old="""
            @dataclass
            class Cart:
                items: list
            state: (Cart([1]), None, {"items": []}, [Cart([2])])[number % 4]
        """,
        new="""
            @dataclass
            class Cart:
                items: list
                seen: int = 0
            def anything(number) -> Any: return Cart([])
            state: anything(number)
        """,
        said=[
            "4 forms are live at the same time",
            "2 Cart with items, such as that of several_forms0",
            "1 dict with items",
        ],
        source=["if type(state) is counterpart(Cart):", "if state is None:", "if type(state) is list:"],
        was="Cart(items=[1])",
        now="Cart(items=[1], seen=0)",
        count=5,
    ),
    "a_tuple_with_names": Case(
        old="""
            class Point(NamedTuple):
                x: int
                y: int
            state: Point(1, 2)
        """,
        new="""
            class Point(NamedTuple):
                x: int
                y: int
                z: int = 0
            state: Point(1, 2)
        """,
        said=["+ z: int = 0 of Point"],
        source=["return migrate(state, Point)"],
        was="Point(x=1, y=2)",
        now="Point(x=1, y=2, z=0)",
    ),
    "a_plain_class": Case(
        old="""
            class Cart:
                def __init__(self, items):
                    self.items = items
                def __repr__(self): return f"Cart{sorted(vars(self))}"
            state: Cart([1])
        """,
        new="""
            class Cart:
                def __init__(self, items):
                    self.items = items
                    self.seen = 0
                def __repr__(self): return f"Cart{sorted(vars(self))}"
            state: Cart([1])
        """,
        said=["+ self.seen = 0 of Cart is new in 2"],
        source=["seen=0,", "for name in ('seen',):"],
        was="Cart['items']",
        now="Cart['items', 'seen']",
    ),
    "another_class": Case(
        old="""
            @dataclass
            class Cart:
                items: list
            state: Cart([1])
        """,
        new="""
            @dataclass
            class Basket:
                items: list
                size: int = 0
            state: Basket([])
        """,
        said=["? live states are Cart, and begin as Basket in 2"],
        source=["is Basket what it becomes?", "of 1 was Cart", "counterpart(type(self), 'Cart')"],
        answers={"TODO(state)": "state", "(TODO(state)": "(state"},
        was="Cart(items=[1])",
        now="Basket(items=[1], size=0)",
    ),
    "a_code_change_of_its_own": Case(
        old="""
            @dataclass
            class Cart:
                note: str
                items: list
            state: Cart("n", [])
        """,
        new="""
            @dataclass
            class Cart:
                text: str
                items: list
                limit: int
            state: Cart("n", [], 3)
                def code_change(self, old_vsn, state, extra):
                    return self.changed(old_vsn, state)

                def changed(self, old_vsn, state):
                    if isinstance(old_vsn, Down):
                        return migrate(state, counterpart(Cart), note=state.text)
                    return migrate(state, Cart, text=state.note, limit=3)
        """,
        said=["- note (str) of Cart is gone", "? text may be what note was"],
        was="Cart(note='n', items=[])",
        now="Cart(text='n', items=[], limit=3)",
    ),
    "members_that_are_gone": Case(
        old="""
            class Color(Enum):
                RED = 1
                GREEN = 2
                GREY = 3
            class Mode(Flag):
                READ = 1
                WRITE = 2
            @dataclass
            class Cart:
                color: Color
                others: list[Color]
                mode: Mode
            state: Cart(Color.GREEN, [Color.RED], Mode.READ | Mode.WRITE)
        """,
        new="""
            class Color(Enum):
                RED = 1
                LIME = 2
            class Mode(Flag):
                READ = 1
            @dataclass
            class Cart:
                color: Color
                others: list[Color]
                mode: Mode
            state: Cart(Color.LIME, [], Mode.READ)
        """,
        said=[
            "? GREEN of Color is live, and gone in 2: is it LIME or RED?",
            "- GREY of Color is gone in 2: nothing live is one",
            "? WRITE of Mode is live, and gone in 2: is it READ?",
        ],
        source=[
            "# TODO: GREEN is not in 2: is it LIME or RED?",
            "# TODO: LIME is not in 1: is it GREEN or GREY or RED?",
            "others=[newer_color(item) for item in state.others]",
            "return others[old.name] if old.name in others else Color[old.name]",
        ],
        answers={
            "'GREEN': TODO": "'GREEN': Color.LIME",
            "'WRITE': TODO": "'WRITE': Mode(0)",
            "'LIME': TODO": "'LIME': counterpart(Color).GREEN",
        },
        was="Cart(color=<Color.GREEN: 2>, others=[<Color.RED: 1>], mode=<Mode.READ|WRITE: 3>)",
        now="Cart(color=<Color.LIME: 2>, others=[<Color.RED: 1>], mode=<Mode.READ: 1>)",
        back="Cart(color=<Color.GREEN: 2>, others=[<Color.RED: 1>], mode=<Mode.READ: 1>)",
    ),
    "members_with_other_values": Case(
        old="""
            from enum import IntEnum, IntFlag
            class Level(IntEnum):
                LOW = 1
                HIGH = 2
            class Mode(Flag):
                READ = 1
                WRITE = 2
            class Bits(IntFlag):
                ONE = 1
                TWO = 2
            @dataclass
            class Cart:
                level: Level
                modes: list[Mode]
                bits: Bits
            state: Cart(Level.LOW, [Mode.READ, Mode.READ | Mode.WRITE, Mode(0)], Bits.TWO | 8)
        """,
        new="""
            from enum import IntEnum, IntFlag
            class Level(IntEnum):
                NONE = 1
                LOW = 2
                HIGH = 3
            class Mode(Flag):
                WRITE = 1
                READ = 4
            class Bits(IntFlag):
                TWO = 1
                ONE = 2
            @dataclass
            class Cart:
                level: Level
                modes: list[Mode]
                bits: Bits
            state: Cart(Level.LOW, [], Bits.TWO)
        """,
        said=["* NONE of Level is new in 2"],
        source=["level=Level[state.level.name]", "modes=[flags(item, Mode) for item in state.modes]"],
        was="Cart(level=<Level.LOW: 1>, modes=[<Mode.READ: 1>, <Mode.READ|WRITE: 3>, <Mode: 0>], "
        "bits=<Bits.TWO|8: 10>)",
        now="Cart(level=<Level.LOW: 2>, modes=[<Mode.READ: 4>, <Mode.WRITE|READ: 5>, <Mode: 0>], bits=<Bits.TWO|8: 9>)",
    ),
    "contents_of_other_containers": Case(
        old="""
            from collections import Counter, OrderedDict, defaultdict
            @dataclass(frozen=True)
            class Key:
                name: str
            @dataclass
            class Stock:
                left: "Counter[Key]"
                order: "OrderedDict[str, Key]"
                found: "defaultdict[str, list[Key]]"
            state: Stock(Counter([Key("a"), Key("a")]), OrderedDict(b=Key("b")), defaultdict(list, c=[Key("c")]))
        """,
        new="""
            from collections import Counter, OrderedDict, defaultdict
            @dataclass(frozen=True)
            class Key:
                name: str
                size: int = 0
            @dataclass
            class Stock:
                left: "Counter[Key]"
                order: "OrderedDict[str, Key]"
                found: "defaultdict[str, list[Key]]"
            state: Stock(Counter(), OrderedDict(), defaultdict(list))
        """,
        said=["+ size: int = 0 of Key"],
        source=["left=type(state.left)({migrate(key, Key): item for key, item in state.left.items()})"],
        was="Stock(left=Counter({Key(name='a'): 2}), order=OrderedDict([('b', Key(name='b'))]), "
        "found=defaultdict(<class 'list'>, {'c': [Key(name='c')]}))",
        now="Stock(left=Counter({Key(name='a', size=0): 2}), order=OrderedDict([('b', Key(name='b', size=0))]), "
        "found=defaultdict(<class 'list'>, {'c': [Key(name='c', size=0)]}))",
    ),
    "another_class_inside": Case(
        old="""
            class Color(Enum):
                RED = 1
            @dataclass
            class Line:
                name: str
                color: Color = Color.RED
            @dataclass
            class Cart:
                lines: list[Line]
                best: Line | None = None
            def full():
                line = Line("a")
                return Cart([line], line)
            state: full()
        """,
        new="""
            class Colour(Enum):
                RED = 1
            @dataclass
            class OrderLine:
                name: str
                color: Colour = Colour.RED
                price: int = 0
            @dataclass
            class Cart:
                lines: list[OrderLine]
                best: OrderLine | None = None
            def full():
                return Cart([])
            state: full()
        """,
        said=[
            "? Line is not in 2: is it OrderLine now?",
            "? Color is not in 2: is it Colour now?",
            "+ price: int = 0 of OrderLine",
        ],
        source=[
            "lines=[newer_line(item) for item in state.lines]",
            "counterpart(type(self), 'Line'),",
            "color=older_color(new.color),",
        ],
        answers={"TODO(old)": "old", " Colour[TODO(old)": " Colour[old", "TODO(new)": "new", "[TODO(new)": "[new"},
        was="Cart(lines=[Line(name='a', color=<Color.RED: 1>)], best=Line(name='a', color=<Color.RED: 1>))",
        now="Cart(lines=[OrderLine(name='a', color=<Colour.RED: 1>, price=0)], "
        "best=OrderLine(name='a', color=<Colour.RED: 1>, price=0))",
    ),
    "a_class_that_moved": Case(
        shared=(
            "",
            """
            from dataclasses import dataclass
            @dataclass
            class Tag:
                name: str
                size: int = 0
            """,
        ),
        old="""
            @dataclass
            class Tag:
                name: str
            state: {"tags": [Tag("a")]}
        """,
        new="""
            from shop.a_class_that_moved_model import Tag
            state: {"tags": []}
        """,
        said=["? Tag of shop.a_class_that_moved is not in 2: is it Tag of shop.a_class_that_moved_model now?"],
        source=["return migrate(TODO(old), Tag)", "return migrate(TODO(new), counterpart(type(self), 'Tag'))"],
        answers={"TODO(old)": "old", "TODO(new)": "new"},
        was="{'tags': [Tag(name='a')]}",
        now="{'tags': [Tag(name='a', size=0)]}",
    ),
    "a_class_that_only_the_newer_one_has": Case(
        old="""
            @dataclass
            class Cat:
                name: str
            state: {"pets": [Cat("a")], "names": {"a": Cat("b")}}
        """,
        new="""
            @dataclass
            class Cat:
                name: str
                age: int = 0
            @dataclass
            class Bird:
                wings: int
            class State(TypedDict):
                pets: list[Cat | Bird]
                names: dict[str, Cat]
            state: State(pets=[], names={})
        """,
        said=["+ age: int = 0 of Cat"],
        source=["# TODO: Bird is not in 1: what becomes of it?", "TODO(item) if type(item) is Bird else item"],
        answers={"TODO(item)": "None"},
        was="{'pets': [Cat(name='a')], 'names': {'a': Cat(name='b')}}",
        now="{'pets': [Cat(name='a', age=0)], 'names': {'a': Cat(name='b', age=0)}}",
    ),
    "class_to_entries": Case(
        old="""
            @dataclass
            class Row:
                number: int
            @dataclass
            class Cart:
                rows: list[Row]
                owner: str = ""
                left: list = field(default_factory=list)
            state: Cart([Row(1)], "o")
        """,
        new="""
            @dataclass
            class Row:
                number: int
                more: int = 0
            state: {"rows": [], "owner": "", "seen": 0}
        """,
        said=[
            "? live states are Cart, and begin with 'rows', 'owner', 'seen' in 2",
            "+ 'seen': 0 of the state is new in 2",
            "- left (list) of the state is gone in 2: no live one has a value",
        ],
        source=["'rows': [migrate(item, Row) for item in state.rows],", "'owner': state.owner,"],
        answers={"TODO({": "dict({", "TODO(state)": "state"},
        was="Cart(rows=[Row(number=1)], owner='o', left=[])",
        now="{'rows': [Row(number=1, more=0)], 'owner': 'o', 'seen': 0}",
    ),
    "plain_classes_inside": Case(
        old="""
            class Tag:
                def __init__(self, name):
                    self.__name = name
                def __repr__(self): return f"Tag{sorted(vars(self).items())}"
            class Slotted:
                __slots__ = ("size",)
                def __init__(self):
                    self.size = 1
                def __repr__(self): return f"Slotted {hasattr(self, 'more')}"
            class Tags(dict): ...
            class Box(Generic[T]):
                def __init__(self, content: T):
                    self.content = content
                def __repr__(self): return f"Box({self.content})"
            @dataclass
            class Cart:
                tags: list[Tag]
                named: Tags
                box: Box[Tag]
                first: Slotted
            state: Cart([Tag("a")], Tags(b=Tag("b")), Box(Tag("c")), Slotted())
        """,
        new="""
            class Tag:
                def __init__(self, name):
                    self.__name = name
                    self.__size = 0
                def __repr__(self): return f"Tag{sorted(vars(self).items())}"
            class Slotted:
                __slots__ = ("size", "more")
                def __init__(self):
                    self.size = 1
                    self.more = 2
                def __repr__(self): return f"Slotted {hasattr(self, 'more')}"
            class Tags(dict): ...
            class Box(Generic[T]):
                def __init__(self, content: T):
                    self.content = content
                def __repr__(self): return f"Box({self.content})"
            @dataclass
            class Cart:
                tags: list[Tag]
                named: Tags
                box: Box[Tag]
                first: Slotted
            state: Cart([], Tags(), Box(Tag("c")), Slotted())
        """,
        said=["+ self.__size = 0 of Tag is new in 2, and begins with 0"],
        unsaid=["__name", "live values of box"],
        source=[
            "for name in ('_Tag__size',):",
            "named=Tags({key: newer_tag(item) for key, item in state.named.items()})",
            "first=migrate(state.first, counterpart(Slotted))",
        ],
        was="Cart(tags=[Tag[('_Tag__name', 'a')]], named={'b': Tag[('_Tag__name', 'b')]}, "
        "box=Box(Tag[('_Tag__name', 'c')]), first=Slotted False)",
        now="Cart(tags=[Tag[('_Tag__name', 'a'), ('_Tag__size', 0)]], "
        "named={'b': Tag[('_Tag__name', 'b'), ('_Tag__size', 0)]}, "
        "box=Box(Tag[('_Tag__name', 'c'), ('_Tag__size', 0)]), first=Slotted True)",
    ),
    "with_parents": Case(
        old="""
            @dataclass
            class Folder:
                name: str
                parent: "Folder | None" = None
                folders: "list[Folder]" = field(default_factory=list)
            def full():
                top = Folder("top")
                top.folders.append(Folder("sub", top))
                return top
            state: full()
        """,
        new="""
            @dataclass
            class Folder:
                name: str
                parent: "Folder | None" = None
                folders: "list[Folder]" = field(default_factory=list)
                size: int = 0
            def full():
                return Folder("top")
            state: full()
        """,
        said=["+ size: int = 0 of Folder"],
        unsaid=["holds no Folder"],
        source=["return newer_folder(state)", "made.parent = None if old.parent is None else newer_folder(old.parent)"],
        was="Folder(name='top', parent=None, folders=[Folder(name='sub', parent=..., folders=[])])",
        now="Folder(name='top', parent=None, folders=[Folder(name='sub', parent=..., folders=[], size=0)], size=0)",
    ),
    "frozen_in_a_circle": Case(
        old="""
            @dataclass(frozen=True)
            class Room:
                name: str
                doors: "list[Room]"
            def full():
                hall = Room("hall", [])
                hall.doors.append(Room("yard", [hall]))
                return {"rooms": [hall, hall.doors[0]]}
            state: full()
        """,
        new="""
            @dataclass(frozen=True)
            class Room:
                name: str
                doors: "list[Room]"
                open: bool = True
            def full():
                return {"rooms": []}
            state: full()
        """,
        said=["states lead 4 times to Room"],
        source=["object.__setattr__(made, 'doors', [newer_room(item) for item in old.doors])"],
        was="{'rooms': [Room(name='hall', doors=[Room(name='yard', doors=[...])]), "
        "Room(name='yard', doors=[Room(name='hall', doors=[...])])]}",
        now="{'rooms': [Room(name='hall', doors=[Room(name='yard', doors=[...], open=True)], open=True), "
        "Room(name='yard', doors=[Room(name='hall', doors=[...], open=True)], open=True)]}",
    ),
    "keys": Case(
        old="""
            class Color(Enum):
                RED = 1
            @dataclass(frozen=True)
            class Place:
                x: int
            some = {Color.RED: 1, "x": 2}
            state: {"rows": {Color.RED: [Place(1)]}, "seen": {Place(2)}, number: Place(3), "some": some}
        """,
        new="""
            class Color(Enum):
                RED = 1
                BLUE = 2
            @dataclass(frozen=True)
            class Place:
                x: int
                y: int = 0
            def fresh(): return {"rows": {}, "some": {}}
            state: {"rows": {}, "seen": set(), "some": {}}
        """,
        said=["states lead 3 times to Place"],
        source=["Color[key.name]", "for item2 in item"],
        was="{'rows': {<Color.RED: 1>: [Place(x=1)]}, 'seen': {Place(x=2)}, 0: Place(x=3), "
        "'some': {<Color.RED: 1>: 1, 'x': 2}}",
        now="{'rows': {<Color.RED: 1>: [Place(x=1, y=0)]}, 'seen': {Place(x=2, y=0)}, 0: Place(x=3, y=0), "
        "'some': {<Color.RED: 1>: 1, 'x': 2}}",
    ),
    "a_code_change_that_forgets": Case(
        old="""
            @dataclass
            class Cart:
                items: list
                note: str = ""
            state: Cart([], f"secret{number}")
        """,
        new="""
            @dataclass
            class Cart:
                items: list
                limit: int = 3
            state: Cart([])
                def code_change(self, old_vsn, state, extra):
                    return migrate(state, counterpart(type(state)))
        """,
        said=["- note (str) of Cart is gone in 2: 1 of 1"],
        asked=["a_code_change_that_forgets, line", "  - note (str) of Cart is gone in 2: 1 of 1"],
        was="Cart(items=[], note='secret0')",
        now="Cart(items=[], limit=3)",
        back="Cart(items=[], note='')",
    ),
    "expected_by_annotation": Case(
        old="""
            @dataclass
            class Line:
                qty: int
            @dataclass
            class Special(Line):
                why: str = ""
            @dataclass
            class Order:
                lines: list[Line]
                named: "dict[str, Line]"
                parent: "Order | None"
                first: Any = None
            state: {"orders": [Order([], {"a": Line(1)}, None)]}
        """,
        new="""
            @dataclass
            class Line:
                qty: str
            @dataclass
            class Special(Line):
                why: int = 0
            @dataclass
            class Order:
                lines: list[Line]
                named: "dict[str, Line]"
                parent: "Order | None"
                first: Any = None
            state: {"orders": []}
        """,
        said=[
            "lines: list[Line] of Order holds no Line or Special in any live one that was looked at, and Line or",
            "parent: Order | None of Order holds no Order in any live one",
            "~ why of Special may be str, and it is int in 2",
        ],
        source=[
            "made.lines = [newer_line(item) if type(item) is counterpart(Line) else newer_special(item) if",
            "made.parent = None if old.parent is None else newer_order(old.parent)",
            "made.parent = None if new.parent is None else older_order(new.parent)",
            "why is int here, and in 1 str: is it int(old.why)?",
        ],
        answers={
            "qty=TODO": "qty=str(old.qty)",
            " qty=TODO": " qty=str(old.qty)",
            "qty=TODO,": "qty=int(new.qty),",
            " qty=TODO,": " qty=int(new.qty),",
            "why=TODO": "why=0",
            "why=TODO,": "why='',",
        },
        was="{'orders': [Order(lines=[], named={'a': Line(qty=1)}, parent=None, first=None)]}",
        now="{'orders': [Order(lines=[], named={'a': Line(qty='1')}, parent=None, first=None)]}",
    ),
    "expected_in_a_class_that_stays": Case(
        shared=(
            """
            from __future__ import annotations
            from dataclasses import dataclass
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from shop.expected_in_a_class_that_stays import Line
            @dataclass
            class Order:
                lines: tuple[Line, ...] | None
            """,
        )
        * 2,
        old="""
            from shop.expected_in_a_class_that_stays_model import Order
            @dataclass
            class Line:
                qty: int
            state: [Order(None)]
        """,
        new="""
            from shop.expected_in_a_class_that_stays_model import Order
            @dataclass
            class Line:
                qty: int
                price: int = 0
            state: [Order(None)]
        """,
        said=["lines: tuple[Line, ...] | None of Order holds no Line in any live one"],
        source=["lines=None if old.lines is None else tuple(migrate(item, Line) for item in old.lines)"],
        was="[Order(lines=None)]",
        now="[Order(lines=None)]",
    ),
    "shared_in_a_class_that_stays": Case(
        shared=(
            """
            class Wrap:
                def __init__(self, held):
                    self.held = held
                def __repr__(self): return f"Wrap({self.held})"
            """,
        )
        * 2,
        old="""
            from shop.shared_in_a_class_that_stays_model import Wrap
            @dataclass
            class Line:
                qty: int
            def full():
                wrap = Wrap(Line(1))
                return {"one": wrap, "other": wrap, "same": True}
            state: full()
        """,
        new="""
            from shop.shared_in_a_class_that_stays_model import Wrap
            @dataclass
            class Line:
                qty: int
                price: int = 0
            def full():
                return {"one": Wrap(Line(1)), "other": None, "same": False}
            state: full()
        """,
        said=["+ price: int = 0 of Line"],
        source=["return once(old, lambda: migrate(old, Wrap, held=migrate(old.held, Line)))"],
        was="{'one': Wrap(Line(qty=1)), 'other': Wrap(Line(qty=1)), 'same': True}",
        now="{'one': Wrap(Line(qty=1, price=0)), 'other': Wrap(Line(qty=1, price=0)), 'same': True}",
    ),
    "another_container": Case(
        old="""
            @dataclass
            class Node:
                name: str
                kids: "list[Node]"
            @dataclass
            class Tree:
                roots: list[Node]
            state: Tree([Node("a", [Node("b", [])])])
        """,
        new="""
            @dataclass
            class Node:
                name: str
                kids: "tuple[Node, ...]"
            @dataclass
            class Tree:
                nodes: list[Node]
            state: Tree([])
        """,
        said=["~ live values of kids are list of Node", "? nodes may be what roots was"],
        source=[
            "is it tuple(newer_node(item) for item in old.kids)?",
            "is it [older_node(item) for item in new.kids]?",
            "is it roots (list of Node)? then [newer_node(item) for item in state.roots], else",
        ],
        answers={
            "kids=TODO": "kids=tuple(newer_node(item) for item in old.kids)",
            "kids=TODO,": "kids=[older_node(item) for item in new.kids],",
            "roots=TODO": "roots=[older_node(item) for item in state.nodes]",
            "nodes=TODO": "nodes=[newer_node(item) for item in state.roots]",
        },
        was="Tree(roots=[Node(name='a', kids=[Node(name='b', kids=[])])])",
        now="Tree(nodes=[Node(name='a', kids=(Node(name='b', kids=()),))])",
    ),
    "rows": Case(
        old="""
            def full(number):
                return [{"sku": f"secret{n}", "qty": "2", "note": "n"} | ({"tag": 1} if n else {}) for n in range(2)]
            state: full(number)
        """,
        new="""
            @dataclass
            class Row:
                sku: str
                qty: int
                remark: str
                tag: int
                vat: int = 19
            state: []
                def handle_cast(self, message, state: "list[Row]"):
                    return state
        """,
        said=[
            "? live states are list of dict, and begin as list[Row] in 2",
            "? remark may be what note was",
            "~ live values of qty are str, and it is int in 2",
            "+ vat: int = 19 of Row is new in 2",
            "only 1 of 2 live ones have tag",
        ],
        source=[
            "is it [newer_row(item) for item in state]?",
            "is it [older_row(item) for item in state]?",
            "not all live ones have tag: what is its value in the others?",
            "'qty': TODO",
            "is it str(new.qty)?",
        ],
        answers={
            "qty=TODO": "qty=int(old['qty'])",
            "remark=TODO": "remark=old['note']",
            "in old else TODO": "in old else 0",
            "'qty': TODO": "'qty': str(new.qty)",
            "'note': TODO": "'note': new.remark",
            "return TODO": "return [older_row(item) for item in state]",
            " return TODO": " return [newer_row(item) for item in state]",
        },
        was="[{'sku': 'secret0', 'qty': '2', 'note': 'n'}, {'sku': 'secret1', 'qty': '2', 'note': 'n', 'tag': 1}]",
        now="[Row(sku='secret0', qty=2, remark='n', tag=0, vat=19), "
        "Row(sku='secret1', qty=2, remark='n', tag=1, vat=19)]",
        back="[{'sku': 'secret0', 'qty': '2', 'tag': 0, 'note': 'n'}, "
        "{'sku': 'secret1', 'qty': '2', 'tag': 1, 'note': 'n'}]",
    ),
    "rows_in_fields": Case(
        old="""
            @dataclass
            class Cart:
                lines: list[dict]
                named: dict[str, dict] | None = None
                best: "dict | None" = None
            def full():
                one = {"sku": "a", "parts": [{"sku": "b", "parts": []}]}
                return Cart([one, one], {"x": {"sku": "c", "parts": []}})
            state: full()
        """,
        new="""
            class Row:
                def __init__(self, sku, parts: "list[Row]"):
                    self.sku = sku
                    self.parts: list[Row] = parts
                    self.seen = 0
                def __repr__(self): return f"Row{sorted(vars(self).items())}"
            @dataclass
            class Cart:
                lines: tuple[Row, ...]
                named: dict[str, Row] | None = None
                best: Row | None = None
            state: Cart(())
        """,
        said=[
            "~ live values of lines are list of dict, and it is tuple[Row, ...] in 2",
            "~ best of Cart may be dict, and it is Row | None in 2",
            "+ self.seen = 0 of Row",
        ],
        source=[
            "is it tuple(newer_row(item) for item in state.lines)?",
            "is it None if state.named is None else {key: newer_row(item) for key, item in state.named.items()}?",
            "is it [older_row(item) for item in state.lines]?",
            "'parts': TODO",
        ],
        answers={
            "parts=TODO": "parts=[newer_row(item) for item in old['parts']]",
            "'parts': TODO": "'parts': [older_row(item) for item in new.parts]",
            "lines=TODO": "lines=[older_row(item) for item in state.lines]",
            "named=TODO": "named={key: older_row(item) for key, item in state.named.items()}",
            "best=TODO": "best=state.best and older_row(state.best)",
            "lines=TODO,": "lines=tuple(newer_row(item) for item in state.lines),",
            "named=TODO,": "named={key: newer_row(item) for key, item in state.named.items()},",
            "best=TODO,": "best=state.best and newer_row(state.best),",
        },
        was="Cart(lines=[{'sku': 'a', 'parts': [{'sku': 'b', 'parts': []}]}, "
        "{'sku': 'a', 'parts': [{'sku': 'b', 'parts': []}]}], named={'x': {'sku': 'c', 'parts': []}}, best=None)",
        now="Cart(lines=(Row[('parts', [Row[('parts', []), ('seen', 0), ('sku', 'b')]]), ('seen', 0), ('sku', 'a')], "
        "Row[('parts', [Row[('parts', []), ('seen', 0), ('sku', 'b')]]), ('seen', 0), ('sku', 'a')]), "
        "named={'x': Row[('parts', []), ('seen', 0), ('sku', 'c')]}, best=None)",
    ),
    "rows_to_a_class": Case(
        old="""
            state: [{"sku": "a"}]
        """,
        new="""
            class Row(NamedTuple):
                sku: str
                qty: int = 1
            @dataclass
            class Cart:
                rows: list[Row]
            state: Cart([])
        """,
        said=["? live states are list of dict, and begin as Cart in 2"],
        source=["then [newer_row(item) for item in state], else", "is it [older_row(item) for item in state.rows]?"],
        answers={
            "return TODO": "return [older_row(item) for item in state.rows]",
            "rows=TODO": "rows=[newer_row(item) for item in state]",
        },
        was="[{'sku': 'a'}]",
        now="Cart(rows=[Row(sku='a', qty=1)])",
    ),
    "rows_or_none": Case(
        old="""
            state: None if number else [{"sku": "a"}]
        """,
        new="""
            @dataclass
            class Row:
                sku: str
            state: None
                def handle_cast(self, message, state: "list[Row] | None"):
                    return state
        """,
        said=[
            "2 forms are live at the same time",
            "? live states are list of dict, and begin as list[Row] | None in 2",
        ],
        source=["is it [newer_row(item) for item in state]?", "if state is None:"],
        answers={
            "return TODO": "return [older_row(item) for item in state]",
            " return TODO": " return [newer_row(item) for item in state]",
        },
        was="[{'sku': 'a'}]",
        now="[Row(sku='a')]",
        count=2,
    ),
    "rows_in_another_container": Case(
        old="""
            def full(number): return [{"sku": "a"}]
            state: full(number)
        """,
        new="""
            @dataclass
            class Row:
                sku: str
            def full(number): return (Row("a"),)
            state: full(number)
                def handle_cast(self, message, state: "tuple[Row, ...]"):
                    return state
        """,
        said=["? live states are list of dict, and begin as tuple[Row, ...] in 2"],
        source=["is it tuple(newer_row(item) for item in state)?", "is it [older_row(item) for item in state]?"],
        answers={
            "return TODO": "return [older_row(item) for item in state]",
            " return TODO": " return tuple(newer_row(item) for item in state)",
        },
        was="[{'sku': 'a'}]",
        now="(Row(sku='a'),)",
    ),
    "rows_under_another_name": Case(
        old="""
            @dataclass
            class Cart:
                lines: list
            state: Cart([{"sku": "a"}])
        """,
        new="""
            @dataclass
            class Row:
                sku: str
            @dataclass
            class Cart:
                order_lines: list[Row]
            state: Cart([])
        """,
        said=["? order_lines may be what lines was, under another name"],
        source=[
            "then [newer_row(item) for item in state.lines]",
            "then [older_row(item) for item in state.order_lines]",
        ],
        answers={
            "lines=TODO": "lines=[older_row(item) for item in state.order_lines]",
            "order_lines=TODO": "order_lines=[newer_row(item) for item in state.lines]",
        },
        was="Cart(lines=[{'sku': 'a'}])",
        now="Cart(order_lines=[Row(sku='a')])",
    ),
    "rows_that_a_code_change_makes": Case(
        old="""
            state: [{"sku": "a"}]
        """,
        new="""
            @dataclass
            class Row:
                sku: str
            state: [Row("a")]
                def code_change(self, old_vsn, state, extra):
                    if isinstance(old_vsn, Down):
                        return [vars(row) for row in state]
                    return [Row(**row) for row in state]
        """,
        said=["? live states are list of dict, and begin as list[Row] in 2"],
        was="[{'sku': 'a'}]",
        now="[Row(sku='a')]",
    ),
    "rows_of_a_typed_mapping": Case(
        old="""
            class Row(TypedDict):
                sku: str
            class State(TypedDict):
                rows: list[Row]
            state: State(rows=[Row(sku="a")])
        """,
        new="""
            @dataclass
            class Row:
                sku: str
            class State(TypedDict):
                rows: list[Row]
            state: State(rows=[])
        """,
        said=["~ live values of rows are list of dict, and it is list[Row] in 2"],
        source=[
            "is it [newer_row(item) for item in state['rows']]?",
            "is it [older_row(item) for item in state['rows']]?",
        ],
        answers={
            "'rows': TODO": "'rows': [older_row(item) for item in state['rows']]",
            "'rows': TODO,": "'rows': [newer_row(item) for item in state['rows']],",
        },
        was="{'rows': [{'sku': 'a'}]}",
        now="{'rows': [Row(sku='a')]}",
    ),
    "classes_that_derive_from_containers": Case(
        old="""
            from collections import defaultdict
            @dataclass
            class Row:
                name: str = "new"
            class Recent(deque): ...
            class Named(defaultdict[str, Row]): ...
            class Owned(dict):
                def __init__(self, owner):
                    super().__init__(owner=owner)
            @dataclass
            class Shop:
                recent: Recent
                named: Named
                rows: "defaultdict[str, Row]"
                owned: Owned
                def __repr__(self):
                    ends = self.recent.maxlen, type(self.named["x"]) is Row, type(self.rows["x"]) is Row
                    self.named.pop("x")
                    self.rows.pop("x")
                    return f"{[*self.recent]} {dict(self.named)} {dict(self.rows)} {self.owned} {ends}"
            state: Shop(Recent([Row("a")], 3), Named(Row, b=Row("b")), defaultdict(Row, c=Row("c")), Owned("o"))
        """,
        new="""
            from collections import defaultdict
            @dataclass
            class Row:
                name: str = "new"
                size: int = 0
            class Recent(deque): ...
            class Named(defaultdict[str, Row]): ...
            class Owned(dict):
                def __init__(self, owner):
                    super().__init__(owner=owner)
            @dataclass
            class Shop:
                recent: Recent
                named: Named
                rows: "defaultdict[str, Row]"
                owned: Owned
                def __repr__(self):
                    ends = self.recent.maxlen, type(self.named["x"]) is Row, type(self.rows["x"]) is Row
                    self.named.pop("x")
                    self.rows.pop("x")
                    return f"{[*self.recent]} {dict(self.named)} {dict(self.rows)} {self.owned} {ends}"
            state: Shop(Recent(), Named(Row), defaultdict(Row), Owned("o"))
        """,
        said=["+ size: int = 0 of Row", "Owned is a dict with an __init__ of its own: how is one made of the other?"],
        source=[
            "recent=Recent([migrate(item, Row) for item in state.recent], state.recent.maxlen)",
            "named=Named(factory(state.named), {",
        ],
        answers={
            "TODO(state.owned)": "counterpart(Owned)(state.owned['owner'])",
            "owned=TODO(state.owned)": "owned=Owned(state.owned['owner'])",
        },
        was="[Row(name='a')] {'b': Row(name='b')} {'c': Row(name='c')} {'owner': 'o'} (3, True, True)",
        now="[Row(name='a', size=0)] {'b': Row(name='b', size=0)} {'c': Row(name='c', size=0)} "
        "{'owner': 'o'} (3, True, True)",
    ),
    "elements": Case(
        old="""
            state: [1, number]
        """,
        new="""
            state: ["a", f"{number}"]
        """,
        said=["? live states are list of int, and begin as list[str] in 2"],
        source=["a state is list[str] here, and live ones are list of int: how is it made of state?"],
        answers={"return TODO": "return [int(n) for n in state]", " return TODO": " return [str(n) for n in state]"},
        was="[1, 0]",
        now="['1', '0']",
    ),
    "elements_of_entries": Case(
        old="""
            @dataclass
            class Row:
                name: str
            state: {"rows": [{"name": "a"}], "some": (1, 2), "more": [[1]], "same": [Row("b")]}
        """,
        new="""
            @dataclass
            class Row:
                name: str
                size: int = 0
            state: {"rows": [Row(n) for n in "ab"], "some": (number, 0.5), "more": [["a"]], "same": [Row("c")]}
        """,
        said=[
            "~ live values of rows are list of dict, and it is list[Row] in 2",
            "~ live values of more are list of list, and it is list[list[str]] in 2",
        ],
        unsaid=["some", "same"],
        source=["is it [newer_row(item) for item in state['rows']]?", "'same': [migrate(item, Row) for item in"],
        answers={
            "'rows': TODO": "'rows': [older_row(item) for item in state['rows']]",
            "'more': TODO": "'more': [[int(n) for n in some] for some in state['more']]",
            "'rows': TODO,": "'rows': [newer_row(item) for item in state['rows']],",
            "'more': TODO,": "'more': [[str(n) for n in some] for some in state['more']],",
        },
        was="{'rows': [{'name': 'a'}], 'some': (1, 2), 'more': [[1]], 'same': [Row(name='b')]}",
        now="{'rows': [Row(name='a', size=0)], 'some': (1, 2), 'more': [['1']], 'same': [Row(name='b', size=0)]}",
    ),
    "elements_of_no_type": Case(
        old="""
            first = 1
            state: [first]
        """,
        new="""
            first = "a"
            state: [first]
        """,
        was="[1]",
        now="[1]",
    ),
    "elements_that_were_others_before": Case(
        old="""
            state: [0.5]
                def handle_cast(self, message, state: "list[str]"):
                    return state
        """,
        new="""
            state: [1]
        """,
        was="[0.5]",
        now="[0.5]",
    ),
    "a_code_change_that_does_nothing": Case(
        old="""
            state: number
        """,
        new="""
            state: {"state": 5}
                def code_change(self, old_vsn, state, extra):
                    return state
        """,
        said=["? live states are int, and begin with 'state' in 2"],
        asked=["does not mention:", "  ? live states are int, and begin with 'state' in 2"],
        was="0",
        now="0",
    ),
    "a_code_change_that_does_nothing_either": Case(
        old="""
            state: number
        """,
        new="""
            state: [number]
                def code_change(self, old_vsn, state, extra):
                    match old_vsn:
                        case Down():
                            return state
                    return state
        """,
        said=["? live states are int, and do not begin so in 2"],
        asked=["  ? live states are int, and do not begin so in 2"],
        was="0",
        now="0",
    ),
    "unchanged": Case(
        old="""
            state: {"items": []}
        """,
        new="""
            state: {"items": []}
        """,
        was="{'items': []}",
        now="{'items': []}",
    ),
}
