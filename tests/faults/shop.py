"""A small shop in three releases, of which everything that an upgrade can do is one step.

From 1 to 2: `fax` is ended and its module deleted, the supervisor learns of `audit`, stock and till change their
states, a ledger is opened by a call that knows its undo, `audit` is started, and so is the application `mail`, which 1
has not. From 2 to 3: two windows with a call
between them, so that what fails late is taken back by a downgrade.

Every function that an upgrade calls is a point at which a fault can strike: `at(point, subject, work)`.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tests.support import write_release

MODULES = (*(f"shop.{m}" for m in ("app", "audit", "fax", "ops", "price", "stock", "till")), "mail.app")
"""All that one of the releases has."""
APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    import shop.ops
    from shop.stock import Stock
    from shop.till import Till
    from shop.{other} import {Other}
    from tests.faults.points import at

    at("body of app {vsn}")

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            stocks = [ChildSpec(n, Stock, i, name=n) for i, n in enumerate(("s1", "s2", "s3"))]
            other = ChildSpec("{other}", {Other}, 0, name="{other}")
            children = [*stocks, ChildSpec("till", Till, 7, name="till"), other]
            return at("init of top {vsn}", None, lambda: SupervisorSpec(children, intensity=1000))
"""
PRICE = """
    from tests.faults.points import at
    at("body of price {vsn}")
    VSN = {vsn}

    def rate():
        return VSN
"""
SERVER = """
    from relup.runtime import Down, GenServer, Reply
    from tests.faults.points import at, waiting
    {imports}
    at("body of {module} {vsn}")
    VSN = {vsn}

    def shape(seed, vsn):
        return {{
            1: {{"vsn": 1, "rows": [seed, {{"seed": seed}}]}},
            2: {{"vsn": 2, "rows": {{"seed": [seed]}}}},
            3: {{"vsn": 3, "rows": {{"seed": [seed]}}, "sum": seed}},
        }}[vsn]

    class {Class}(GenServer):
        def init(self, seed):
            state = {{"seed": seed, "log": [], "wrong": [], **shape(seed, VSN)}}
            return at(f"init of {{self.name}} {vsn}", state, lambda: state)

        def handle_cast(self, message, state):
            state["log"].append(message)
            if state["vsn"] != VSN {check}:
                state["wrong"].append(("cast", message, state["vsn"], VSN))
            return state

        async def handle_call(self, request, caller, state):
            if request == "wait":
                await waiting()
                return Reply(None, state)
            {ask}
            return Reply((request, VSN), self.handle_cast(request, state))

        def code_change(self, old_vsn, state, extra):
            to = old_vsn.vsn if isinstance(old_vsn, Down) else VSN
            return at(f"code_change of {{self.name}} to {{to}}", state, lambda: self._turned(state, int(to)))

        def _turned(self, state, to):
            gone = {{k: state[k] for k in ("seed", "log", "wrong")}}
            return {{**gone, **shape(state["seed"], to)}}

        def terminate(self, reason, state):
            at(f"terminate of {{self.name}} {vsn}", state)

    __vsn__ = "{vsn}"
"""
OPS = """
    from tests.faults.points import at, note
    at("body of ops {vsn}")

    def opened():
        at("call of opened", None, lambda: note("ledger", True))

    def closed():
        at("call of closed", None, lambda: note("ledger", False))

    def marked():
        at("call of marked", None, lambda: note("mark", True))

    def unmarked():
        at("call of unmarked", None, lambda: note("mark", False))
"""
MAIL = """
    from relup.runtime import Application, ChildSpec, GenServer, Reply, Supervisor, SupervisorSpec
    from tests.faults.points import at

    at("body of mail")

    class Box(GenServer):
        def init(self, args):
            return at("init of box", None, lambda: [])

        def handle_call(self, request, caller, state):
            return Reply(state, state)

        def terminate(self, reason, state):
            at("terminate of box", state)

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec("box", Box, name="box")], intensity=1000)

    class Mail(Application):
        def start(self, args):
            return at("start of mail", None, lambda: self.node.start_link(Top, name="mail"))

        def stop(self, state):
            at("stop of mail", state)
"""
UPDATE = "- update: {{module: shop.{}, change: advanced, timeout: 300{}}}"
TERMINATE = "- apply: {{module: supervisor, function: terminate_child, args: [top, {}]}}"
DELETE = "- apply: {{module: supervisor, function: delete_child, args: [top, {}]}}"
RESTART = "- apply: {{module: supervisor, function: restart_child, args: [top, {}]}}"
CALL = "- apply: {{module: shop.ops, function: {}, undo: {{module: shop.ops, function: {}}}}}"
FIRST_UP = (
    TERMINATE.format("fax"),
    DELETE.format("fax"),
    "- update: {module: shop.app, change: supervisor}",
    "- add_module: shop.audit",
    UPDATE.format("stock", ", depends: [shop.price]"),
    "- load_module: shop.price",
    "- load_module: shop.ops",
    UPDATE.format("till", ", depends: [shop.stock]"),
    "- delete_module: shop.fax",
    CALL.format("opened", "closed"),
    RESTART.format("audit"),
)
FIRST_DOWN = (
    TERMINATE.format("audit"),
    DELETE.format("audit"),
    CALL.format("closed", "opened"),
    UPDATE.format("till", ", depends: [shop.stock]"),
    "- load_module: shop.ops",
    UPDATE.format("stock", ", depends: [shop.price]"),
    "- load_module: shop.price",
    "- add_module: shop.fax",
    "- update: {module: shop.app, change: supervisor}",
    "- delete_module: shop.audit",
    RESTART.format("fax"),
)
BOTH = (UPDATE.format("stock", ", depends: [shop.price]"), "- load_module: shop.price", "- load_module: shop.ops")
OTHERS = (
    "- update: {module: shop.app, change: supervisor}",
    UPDATE.format("till", ""),
    UPDATE.format("audit", ""),
)
SECOND_UP = (*BOTH, CALL.format("marked", "unmarked"), *OTHERS)
SECOND_DOWN = (*OTHERS, CALL.format("unmarked", "marked"), *BOTH)


def write(folder: Path) -> dict[str, Path]:
    """Write the three releases below *folder*; return them by vsn."""
    ways = {"1": None, "2": _appup("2", "1", FIRST_UP, FIRST_DOWN), "3": _appup("3", "2", SECOND_UP, SECOND_DOWN)}
    made = {vsn: write_release(folder / vsn, vsn, _modules(vsn), way) for vsn, way in ways.items()}
    for vsn in ("2", "3"):
        _add_mail(made[vsn])
    return made


def _add_mail(release: Path) -> None:
    """Add an application to a release."""
    (release / "mail").mkdir()
    (release / "mail" / "__init__.py").write_text("")
    (release / "mail" / "app.py").write_text(dedent(MAIL))
    with (release / "release.yaml").open("a") as file:
        file.write('  - {name: mail, vsn: "1", start: "mail.app:Mail"}\n')


def _modules(vsn: str) -> dict[str, str]:
    other = "fax" if vsn == "1" else "audit"
    price = "from shop.price import rate"
    # a stock does not know of the till; the till asks one of them, and so waits in a call to what is suspended too
    asks = 'await self.call("s1", ("till", *request))'
    return {
        "app": APP.format(vsn=vsn, other=other, Other=other.title()),
        "price": PRICE.format(vsn=vsn),
        "ops": OPS.format(vsn=vsn),
        "stock": _server("stock", vsn, imports=price, check="or rate() != VSN"),
        "till": _server("till", vsn, ask=asks),
        other: _server(other, vsn),
    }


def _server(module: str, vsn: str, *, imports: str = "", check: str = "", ask: str = "pass") -> str:
    return SERVER.format(module=module, vsn=vsn, Class=module.title(), imports=imports, check=check, ask=ask)


def _appup(vsn: str, other: str, up: tuple[str, ...], down: tuple[str, ...]) -> str:
    there, back = ("".join(f"\n      {line}" for line in lines) for lines in (up, down))
    up_, down_ = f'\nup:\n  - from: "{other}"', f'\ndown:\n  - to: "{other}"'
    steps = "\n    instructions:"
    return f'application: shop\nvsn: "{vsn}"{up_}{steps}{there}{down_}{steps}{back}\n'
