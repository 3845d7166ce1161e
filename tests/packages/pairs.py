"""Consecutive releases of packages: what is exchanged, what stands beside it, and how a program uses it.

Each `code` is the module `shop.uses` of a program: `make()` returns what a server keeps in its state, `use(thing)` uses
it and tells what came out, which is the same in both releases.
"""

# ruff: noqa: E501 - a line of code stays one line

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pair:
    """Distributions that change, those beside them that do not, and a use of them."""

    name: str
    shows: str
    """What about code it exercises."""
    changes: Mapping[str, tuple[str, str]]
    code: str
    right: Any
    beside: Mapping[str, str] | None = None
    named: bool = True
    """Whether what the server keeps belongs to the packages, and is named before the window."""
    large: bool = False
    """Whether it takes the short way through: no dry run, and no second upgrade."""

    def distributions(self) -> dict[str, tuple[str, ...]]:
        """Return every distribution of the releases with its versions, two or one."""
        return {**self.changes, **{name: (vsn,) for name, vsn in (self.beside or {}).items()}}


PAIRS = (
    Pair(
        "click",
        "decorators, a hierarchy of parameter types, an error class that new code catches",
        {"click": ("8.1.7", "8.1.8")},
        """
        import click

        def make():
            @click.command()
            @click.option("--count", type=click.IntRange(1, 5))
            def order(count):
                return count * 2
            return order

        def use(order):
            try:
                order.main(["--count", "9"], standalone_mode=False)
            except click.BadParameter as error:
                return [order.main(["--count", "3"], standalone_mode=False), type(error).__name__]
        """,
        [6, "BadParameter"],
    ),
    Pair(
        "attrs",
        "classes made by a decorator that compiles methods, sentinels, two packages in one distribution",
        {"attrs": ("23.2.0", "24.1.0")},
        """
        import attr
        import attrs

        @attrs.define
        class Cart:
            owner: str
            items: list = attrs.field(factory=list, validator=attrs.validators.instance_of(list))
            note: str = attr.ib(default="", converter=str)

        def make():
            return Cart("ann", note=7)

        def use(cart):
            cart = attrs.evolve(cart, items=[1])
            try:
                cart.items = 3
            except TypeError:
                return [attr.asdict(cart), attrs.fields(type(cart)).items.default is attr.NOTHING]
        """,
        [{"owner": "ann", "items": [1], "note": "7"}, False],
    ),
    Pair(
        "jinja2",
        "a C accelerator with a fallback in Python, code that is compiled at run time, a sandbox",
        {"jinja2": ("3.1.4", "3.1.5"), "markupsafe": ("2.1.5", "3.0.0")},
        """
        import jinja2
        from jinja2.sandbox import SandboxedEnvironment
        from markupsafe import Markup, escape

        def make():
            environment = SandboxedEnvironment(autoescape=True)
            return environment.from_string("{% for i in items %}{{ i }},{% endfor %}{{ missing | default('none') }}")

        def use(template):
            text = template.render(items=["<a>", Markup("<b>"), escape("&")])
            try:
                jinja2.Environment().from_string("{% if %}")
            except jinja2.TemplateSyntaxError as error:
                return [text, error.lineno]
        """,
        ["&lt;a&gt;,<b>,&amp;,none", 1],
    ),
    Pair(
        "flask",
        "two distributions that change together, context-local proxies, routes registered by decorators",
        {"flask": ("3.0.3", "3.1.0"), "werkzeug": ("3.0.6", "3.1.0")},
        """
        import flask
        from werkzeug.exceptions import NotFound

        def make():
            app = flask.Flask("shop")

            @app.get("/<int:number>")
            def show(number):
                if number > 5:
                    raise NotFound()
                return flask.jsonify(number=number, path=flask.request.path)

            return app

        def use(app):
            client = app.test_client()
            return [client.get("/3").json, client.get("/9").status_code]
        """,
        [{"number": 3, "path": "/3"}, 404],
        {"jinja2": "3.1.4", "markupsafe": "2.1.5", "click": "8.1.7", "itsdangerous": "2.2.0", "blinker": "1.8.0"},
    ),
    Pair(
        "requests",
        "modules re-exported under other names, five distributions that depend on each other, codecs",
        {
            "requests": ("2.31.0", "2.32.0"),
            "urllib3": ("2.1.0", "2.2.0"),
            "idna": ("3.6", "3.7"),
            "certifi": ("2024.7.4", "2024.8.30"),
            "charset-normalizer": ("3.3.2", "3.4.0"),
        },
        """
        import requests
        import requests.packages.urllib3.util.retry as retry

        def make():
            session = requests.Session()
            session.headers["x-shop"] = "1"
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retry.Retry(total=3)))
            return session

        def use(session):
            request = session.prepare_request(requests.Request("GET", "https://b\\u00fccher.example/a", params={"q": "tea"}))
            try:
                session.get("https://")
            except requests.exceptions.InvalidURL as error:
                return [request.url, request.headers["x-shop"], session.adapters["https://"].max_retries.total, type(error).__name__]
        """,
        ["https://xn--bcher-kva.example/a?q=tea", "1", 3, "InvalidURL"],
    ),
    Pair(
        "marshmallow",
        "metaclasses, a registry of classes by name",
        {"marshmallow": ("3.21.3", "3.22.0")},
        """
        from marshmallow import Schema, ValidationError, fields

        class Item(Schema):
            price = fields.Decimal(as_string=True)

        class Cart(Schema):
            owner = fields.Str(required=True)
            items = fields.List(fields.Nested("Item"))

        def make():
            return Cart()

        def use(schema):
            try:
                schema.load({"items": []})
            except ValidationError as error:
                return [schema.dump({"owner": "ann", "items": [{"price": 3}]}), error.messages]
        """,
        [{"owner": "ann", "items": [{"price": "3"}]}, {"owner": ["Missing data for required field."]}],
        {"packaging": "24.2"},
    ),
    Pair(
        "sqlalchemy",
        "C accelerators with fallbacks, methods generated as text, registries of dialects and events, dispatch by class",
        {"sqlalchemy": ("2.0.35", "2.0.36")},
        """
        from sqlalchemy import create_engine, select
        from sqlalchemy.exc import IntegrityError
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)

        def make():
            engine = create_engine("sqlite://")
            Base.metadata.create_all(engine)
            return engine

        def use(engine):
            with Session(engine) as session:
                session.add(Item(name="tea"))
                found = session.scalars(select(Item).where(Item.name.like("t%"))).all()
                names = [item.name for item in found]
                session.add(Item(name="tea"))
                try:
                    session.flush()
                except IntegrityError:
                    return names
        """,
        ["tea"],
        {"typing-extensions": "4.12.0"},
        large=True,
    ),
    Pair(
        "pyyaml",
        "a C accelerator with a fallback, classes that enter themselves into tables by their metaclass",
        {"pyyaml": ("6.0.1", "6.0.2")},
        """
        import yaml

        class Item(yaml.YAMLObject):
            yaml_tag = "!item"
            yaml_loader = yaml.SafeLoader

        def make():
            return yaml.nodes.ScalarNode("tag:yaml.org,2002:str", "tea")

        def use(node):
            try:
                yaml.safe_load("[")
            except yaml.YAMLError as error:
                loaded = yaml.safe_load("{a: [1, 2], b: !item {price: 3}}")
                return [yaml.serialize(node).split()[0], loaded["b"].price, error.problem_mark.line]
        """,
        ["tea", 3, 0],
    ),
    Pair(
        "networkx",
        "star imports and re-exports over three hundred modules, back ends found lazily",
        {"networkx": ("3.2.1", "3.3")},
        """
        import networkx as nx

        def make():
            return nx.DiGraph([("a", "b"), ("b", "c")])

        def use(graph):
            try:
                nx.shortest_path(graph, "c", "a")
            except nx.NetworkXNoPath:
                return [nx.shortest_path(graph, "a", "c"), list(nx.topological_sort(graph)), isinstance(graph, nx.Graph)]
        """,
        [["a", "b", "c"], ["a", "b", "c"], True],
        large=True,
    ),
    Pair(
        "pygments",
        "packages that replace themselves in sys.modules and import what they are asked for",
        {"pygments": ("2.17.2", "2.18.0")},
        """
        from pygments import highlight
        from pygments.formatters import NullFormatter
        from pygments.lexers import get_lexer_by_name
        from pygments.token import Name

        def make():
            return get_lexer_by_name("python")

        def use(lexer):
            kinds = [kind for kind, text in lexer.get_tokens("f(1)") if text == "f"]
            return [kinds[0] is Name, highlight("x = 1", lexer, NullFormatter())]
        """,
        [True, "x = 1\n"],
    ),
    Pair(
        "lark",
        "a grammar compiled when a module is imported, rules with slots",
        {"lark": ("1.1.9", "1.2.2")},
        """
        from lark import Lark, Transformer, UnexpectedInput

        class Sum(Transformer):
            def start(self, numbers):
                return sum(map(int, numbers))

        def make():
            return Lark("start: NUMBER (\\"+\\" NUMBER)*\\n%import common.NUMBER", parser="lalr")

        def use(parser):
            try:
                parser.parse("1+")
            except UnexpectedInput as error:
                return [Sum().transform(parser.parse("1+2+3")), error.column]
        """,
        [6, 2],
    ),
    Pair(
        "pyparsing",
        "classes whose metaclass patches their methods, constants that are instances",
        {"pyparsing": ("3.1.4", "3.2.0")},
        """
        import pyparsing as pp

        def make():
            return pp.Group(pp.Word(pp.alphas)("name") + pp.Suppress("=") + pp.common.integer("value"))[1, ...]

        def use(grammar):
            try:
                (grammar + pp.StringEnd()).parse_string("=")
            except pp.ParseException as error:
                return [(grammar + pp.StringEnd()).parse_string("a=1 b=2").as_list(), error.col]
        """,
        [[["a", 1], ["b", 2]], 1],
    ),
    Pair(
        "packaging",
        "comparison between instances of two versions of one class",
        {"packaging": ("24.1", "24.2")},
        """
        from packaging.requirements import Requirement
        from packaging.version import InvalidVersion, Version

        def make():
            return Version("1.10")

        def use(version):
            try:
                Version("one")
            except InvalidVersion:
                return [version > Version("1.9"), version == Version("1.10"), Requirement("a>=1").specifier.contains(version)]
        """,
        [True, True, True],
    ),
    Pair(
        "tomlkit",
        "subclasses of dict, list, int and str, enums",
        {"tomlkit": ("0.12.5", "0.13.0")},
        """
        import tomlkit

        def make():
            return tomlkit.parse("[cart]\\nitems = [1]\\n")

        def use(document):
            document = tomlkit.parse(tomlkit.dumps(document))
            document["cart"]["items"].append(2)
            document["cart"]["owner"] = tomlkit.string("ann")
            return tomlkit.dumps(document)
        """,
        '[cart]\nitems = [1, 2]\nowner = "ann"\n',
    ),
    Pair(
        "arrow",
        "a single file with an import hook of its own, time zones in a weak cache, locales by __init_subclass__",
        {"arrow": ("1.2.3", "1.3.0"), "python-dateutil": ("2.8.2", "2.9.0"), "six": ("1.15.0", "1.16.0")},
        """
        import arrow
        from dateutil import tz
        from six.moves.urllib.parse import quote

        def make():
            return arrow.get("2024-03-10T10:00:00+01:00")

        def use(moment):
            same = moment == arrow.get("2024-03-10T09:00:00Z") and isinstance(moment, arrow.Arrow)
            return [same, moment.shift(days=1).humanize(moment, locale="de"), tz.gettz("UTC") is tz.gettz("UTC"), quote("a b")]
        """,
        [True, "in einem Tag", True, "a%20b"],
        {"types-python-dateutil": "2.9.0.20240316"},
    ),
    Pair(
        "cachetools",
        "abstract collections, keys that are a class of their own, decorated functions",
        {"cachetools": ("5.4.0", "5.5.0")},
        """
        import pickle

        import cachetools

        def make():
            cache = cachetools.LRUCache(2)
            cache["a"] = 1
            return cache

        def use(cache):
            cache = pickle.loads(pickle.dumps(cache))
            cache.update(b=2, c=3)
            square = cachetools.cached(cache)(lambda n: n * n)
            return [sorted(k for k in cache if isinstance(k, str)), square(4), isinstance(cache, cachetools.Cache)]
        """,
        [["b", "c"], 16, True],
    ),
    Pair(
        "structlog",
        "module state: a configuration that loggers look at lazily",
        {"structlog": ("24.2.0", "24.4.0")},
        """
        import structlog
        from structlog.testing import LogCapture

        def make():
            return structlog.get_logger("shop", owner="ann")

        def use(logger):
            capture = LogCapture()
            structlog.configure(processors=[capture])
            logger.bind(item=1).info("sold")
            return capture.entries[-1:]
        """,
        [{"owner": "ann", "item": 1, "event": "sold", "log_level": "info"}],
    ),
    Pair(
        "pluggy",
        "hooks marked by decorators, a manager that holds modules and functions",
        {"pluggy": ("1.4.0", "1.5.0")},
        """
        import pluggy

        spec, impl = pluggy.HookspecMarker("shop"), pluggy.HookimplMarker("shop")

        class Spec:
            @spec
            def price(self, item): ...

        class Double:
            @impl(hookwrapper=True)
            def price(self, item):
                outcome = yield
                outcome.force_result([2 * p for p in outcome.get_result()])

        class Fixed:
            @impl
            def price(self, item):
                return 3

        def make():
            manager = pluggy.PluginManager("shop")
            manager.add_hookspecs(Spec)
            manager.register(Double())
            manager.register(Fixed())
            return manager

        def use(manager):
            return manager.hook.price(item="tea")
        """,
        [6],
    ),
    Pair(
        "markdown",
        "extensions by entry point and by class, a decorator that wraps classes",
        {"markdown": ("3.6", "3.7")},
        """
        import markdown
        from markdown.extensions import Extension
        from markdown.inlinepatterns import SimpleTagInlineProcessor

        class Deleted(Extension):
            def extendMarkdown(self, md):
                md.inlinePatterns.register(SimpleTagInlineProcessor(r"(--)(.*?)--", "del"), "del", 175)

        def make():
            return markdown.Markdown(extensions=["tables", "markdown.extensions.abbr", Deleted()])

        def use(converter):
            return converter.reset().convert("a --b-- *c*")
        """,
        "<p>a <del>b</del> <em>c</em></p>",
    ),
    Pair(
        "transitions",
        "enums as states, methods added to instances as partials",
        {"transitions": ("0.9.1", "0.9.2")},
        """
        import enum

        from transitions import Machine, MachineError

        class State(enum.Enum):
            OPEN = 1
            PAID = 2

        def make():
            return Machine(states=State, initial=State.OPEN, transitions=[["pay", State.OPEN, State.PAID], ["reopen", State.PAID, State.OPEN]])

        def use(machine):
            machine.pay()
            try:
                machine.pay()
            except MachineError:
                return [machine.state.name, machine.state is State.PAID, machine.reopen(), machine.is_OPEN()]
        """,
        ["PAID", True, True, True],
        {"six": "1.16.0"},
    ),
    Pair(
        "simpy",
        "suspended generators in a state, methods bound by descriptors",
        {"simpy": ("4.1.0", "4.1.1")},
        """
        import simpy

        def make():
            environment = simpy.Environment()
            environment.sold = []
            resource = simpy.Resource(environment, 1)

            def customer(number):
                with resource.request() as request:
                    yield request
                    yield environment.timeout(1)
                    environment.sold.append(number)

            for number in range(3):
                environment.process(customer(number))
            environment.run(until=0.5)
            return environment

        def use(environment):
            try:
                environment.run(until=-1)
            except ValueError:
                environment.run()
                return isinstance(environment, simpy.Environment) and environment.sold
        """,
        [0, 1, 2],
    ),
    Pair(
        "httpx",
        "asynchronous libraries that import each other, exceptions mapped between them, context variables",
        {
            "httpx": ("0.26.0", "0.27.0"),
            "httpcore": ("1.0.5", "1.0.6"),
            "h11": ("0.13.0", "0.14.0"),
            "anyio": ("4.5.0", "4.6.0"),
        },
        """
        import anyio
        import h11
        import httpx

        def make():
            return httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"path": request.url.path})))

        def use(client):
            connection = h11.Connection(h11.CLIENT)
            sent = connection.send(h11.Request(method="GET", target="/", headers=[("host", "shop")]))
            try:
                client.get("ftp://shop/")
                httpx.Client().get("ftp://shop/")
            except httpx.UnsupportedProtocol:
                return [client.get("http://shop/a").json(), sent.decode().split()[0], sorted(anyio.get_all_backends())]
        """,
        [{"path": "/a"}, "GET", ["asyncio", "trio"]],
        {"certifi": "2024.8.30", "idna": "3.7", "sniffio": "1.3.1"},
    ),
    Pair(
        "pydantic",
        "models made by a metaclass from annotations, validators, a library that patches typing",
        {"pydantic": ("1.10.16", "1.10.17"), "typing-extensions": ("4.11.0", "4.12.0")},
        """
        from typing import List, Optional

        import pydantic
        from typing_extensions import Annotated, Literal

        class Item(pydantic.BaseModel):
            kind: Literal["tea", "milk"]
            price: Annotated[int, pydantic.Field(gt=0)] = 1

        class Cart(pydantic.BaseModel):
            items: List[Item]
            note: Optional[str]

            @pydantic.validator("note")
            def short(cls, note):
                return note[:3]

        def make():
            return Cart(items=[{"kind": "tea"}], note="a note")

        def use(cart):
            try:
                Cart(items=[Item(kind="milk", price=0)])
            except pydantic.ValidationError as error:
                return [Cart(items=cart.items, note=cart.note).dict(), error.errors()[0]["loc"]]
        """,
        [{"items": [{"kind": "tea", "price": 1}], "note": "a n"}, ["price"]],
    ),
    Pair(
        "wrapt",
        "proxies that answer for what they stand for, also when they are asked for their class",
        {"wrapt": ("1.15.0", "1.16.0")},
        """
        import wrapt

        @wrapt.decorator
        def twice(wrapped, instance, args, kwargs):
            return 2 * wrapped(*args, **kwargs)

        class Cart:
            @twice
            def total(self):
                return 3

        def make():
            return wrapt.ObjectProxy([1, 2])

        def use(proxy):
            return [Cart().total(), list(proxy), isinstance(proxy, wrapt.ObjectProxy), isinstance(proxy, list)]
        """,
        [6, [1, 2], True, True],
    ),
    Pair(
        "jaraco",
        "a namespace package shared by two distributions, of which one changes",
        {"jaraco.functools": ("4.0.1", "4.0.2")},
        """
        import jaraco.context
        from jaraco.functools import compose, once

        def make():
            return compose(str, abs)

        def use(function):
            with jaraco.context.suppress(KeyError):
                raise KeyError
            return [function(-3), once(lambda: 4)()]
        """,
        ["3", 4],
        {"jaraco.context": "5.3.0", "more-itertools": "10.5.0", "backports.tarfile": "1.2.0"},
    ),
    Pair(
        "bottle",
        "a single file with an import hook for its plug-ins, descriptors, a default application",
        {"bottle": ("0.12.25", "0.13.1")},
        """
        from wsgiref.util import setup_testing_defaults

        import bottle

        def make():
            app = bottle.Bottle()
            app.route("/<number:int>")(lambda number: {"number": number})
            return app

        def use(app):
            started = []
            environ = {"PATH_INFO": "/3"}
            setup_testing_defaults(environ)
            body = b"".join(app(environ, lambda status, *rest: started.append(status)))
            return [body.decode(), started, isinstance(app, bottle.Bottle)]
        """,
        ['{"number": 3}', ["200 OK"], True],
    ),
    Pair(
        "docutils",
        "hundreds of node classes, directives and readers found by name when they are wanted",
        {"docutils": ("0.20.1", "0.21.2")},
        """
        from docutils import nodes
        from docutils.core import publish_doctree

        def make():
            return publish_doctree("Title\\n=====\\n\\n.. note:: *tea*\\n")

        def use(document):
            notes = list(document.findall(nodes.note))
            return [len(notes), notes[0].astext() if notes else None, isinstance(document, nodes.document)]
        """,
        [1, "tea", True],
    ),
    Pair(
        "importlib-metadata",
        "an import finder that a package installs, so that the interpreter asks it about distributions",
        {"importlib-metadata": ("7.2.0", "8.0.0"), "zipp": ("3.18.0", "3.19.0")},
        """
        import sys

        import importlib_metadata

        def make():
            return importlib_metadata.EntryPoint("sqrt", "math:sqrt", "functions")

        def use(entry):
            finders = [f for f in sys.meta_path if type(f).__module__ == "importlib_metadata"]
            return [entry.load()(9), isinstance(entry, importlib_metadata.EntryPoint), len(finders)]
        """,
        [3.0, True, 1],
    ),
    Pair(
        "plain",
        "a server that keeps plain data of what it computed: nothing to be named",
        {"more-itertools": ("10.4.0", "10.5.0"), "sortedcontainers": ("2.3.0", "2.4.0")},
        """
        from more_itertools import chunked
        from sortedcontainers import SortedDict

        def make():
            return [list(chunk) for chunk in chunked(range(5), 2)]

        def use(chunks):
            return [chunks, list(SortedDict({len(c): c[0] for c in chunks}).items())]
        """,
        [[[0, 1], [2, 3], [4]], [[1, 4], [2, 2]]],
        named=False,
    ),
)
