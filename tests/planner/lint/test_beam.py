"""Rules that look into `.beam` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pytest

from relup.diagnostics import InvalidInput
from relup.model.code import BeamModule
from relup.model.instructions import (
    Advanced,
    Apply,
    Call,
    DeleteModule,
    Instruction,
    LoadModule,
    Update,
)
from relup.planner import plan
from tests.planner.build import app, appup, at, beam

Files = Mapping[str, BeamModule]


@dataclass(frozen=True)
class Known:
    """The modules of a release, given one by one."""

    modules: Files

    def module(self, name: str) -> BeamModule | None:
        return self.modules.get(name)

    def text(self, name: str) -> None:
        return None

    def functions(self, name: str) -> None:
        return None


def module(
    name: str,
    exports: Sequence[tuple[str, int]] = (),
    imports: Sequence[tuple[str, str, int]] = (),
    behaviours: Sequence[str] = (),
    vsn: int | None = None,
) -> BeamModule:
    attributes = MappingProxyType({} if vsn is None else {"vsn": (vsn,)})
    return BeamModule(name, f"ebin/{name}.beam", frozenset(exports), tuple(imports), tuple(behaviours), attributes)


CART = module("cart", [("code_change", 3), ("add", 1)], [("gen_server", "call", 2)], ["gen_server"])
SHOP = module("shop", [("buy", 1)], [("cart", "add", 1)])


@dataclass(frozen=True)
class Pair:
    """Two releases and what is done between them, both ways; and what is done in the sound one beside it."""

    old: Sequence[BeamModule]
    new: Sequence[BeamModule]
    script: Sequence[Instruction]
    sound: Sequence[Instruction]
    severity: str = "warning"


def at13(i: Instruction) -> Instruction:
    return replace(i, location=at(13))


SOFT = Update("cart", pre_purge="soft_purge", post_purge="soft_purge")

BEAM: Mapping[str, Pair] = {
    "brutal_purge": Pair([CART, SHOP], [CART, SHOP], [Update("cart")], [SOFT], "note"),
    "no_code_change": Pair([CART], [replace(CART, exports=frozenset())], [replace(SOFT, change=Advanced())], [SOFT]),
    "apply_undefined": Pair(
        [CART, SHOP],
        [CART, SHOP],
        [SOFT, Apply(Call("shop", "buy", ()), Call("shop", "buy", (1,)))],
        [SOFT, Apply(Call("shop", "buy", (1,)), Call("shop", "buy", (2,)))],
    ),
    "vsn_unchanged": Pair(
        [replace(CART, attributes={"vsn": (1,)})], [replace(CART, attributes={"vsn": (1,)})], [SOFT], []
    ),
    "call_circle": Pair(
        [CART, replace(CART, name="tax")],
        [
            replace(CART, imports=(("gen_server", "call", 2), ("tax", "add", 1))),
            replace(CART, name="tax", imports=(("gen_server", "call", 2), ("cart", "add", 1))),
        ],
        [SOFT, replace(SOFT, module="tax")],
        [SOFT, LoadModule("tax", pre_purge="soft_purge", post_purge="soft_purge")],
        "note",
    ),
    "children_not_stopped": Pair(
        [CART, SHOP],
        [SHOP],
        [DeleteModule("cart")],
        [Apply(Call("supervisor", "terminate_child", ("top", "cart"))), DeleteModule("cart")],
    ),
    "deleted_while_used": Pair([CART, SHOP], [SHOP], [DeleteModule("cart")], []),
}


def warnings(pair: Pair, script: Sequence[Instruction]) -> list[tuple[str, str]]:
    old, new = ({m.name: m for m in modules} for modules in (pair.old, pair.new))
    one, two = dict.fromkeys(old, "1"), dict.fromkeys(new, "2")
    there = appup({"1": [at13(i) for i in script]}, {})
    base = beam("1", app("1", one), code=Known(old))
    goal = beam("2", app("2", two, appup=there), code=Known(new))
    try:
        return [(d.code, d.severity) for d in plan(base, goal, "up").warnings]
    except InvalidInput as error:
        raise AssertionError(str(error)) from error


@pytest.mark.parametrize(("code", "pair"), BEAM.items(), ids=BEAM.keys())
def test_a_rule_finds_what_it_is_for(code: str, pair: Pair) -> None:
    rest = [LoadModule(m.name) for m in pair.new if m.name not in {getattr(i, "module", None) for i in pair.script}]
    soft = [replace(i, pre_purge="soft_purge", post_purge="soft_purge") for i in rest]
    assert (code, pair.severity) in warnings(pair, [*pair.script, *soft])


@pytest.mark.parametrize(
    ("code", "pair"), [(c, p) for c, p in BEAM.items() if p.sound], ids=[c for c, p in BEAM.items() if p.sound]
)
def test_it_finds_nothing_in_the_sound_pair_beside_it(code: str, pair: Pair) -> None:
    rest = [LoadModule(m.name) for m in pair.new if m.name not in {getattr(i, "module", None) for i in pair.sound}]
    soft = [replace(i, pre_purge="soft_purge", post_purge="soft_purge") for i in rest]
    assert code not in {found for found, _ in warnings(pair, [*pair.sound, *soft])}
