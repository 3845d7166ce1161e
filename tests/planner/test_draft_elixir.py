"""Drafts for releases that are written in Elixir, whose modules have a default `code_change` and are named its way."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from relup.document import read_release
from relup.document.draft import draft_path, draft_text
from relup.model.draft import TODO, Drafted
from relup.model.instructions import (
    AddModule,
    Advanced,
    LoadModule,
    ModuleInstruction,
    Soft,
    SupervisorChange,
    Update,
)
from relup.planner import draft, plan
from tests.document.erlang.releases import app, build, rel
from tests.document.erlang.shop import SYSTEM

_OLD = """
defmodule Shop.Sum do
  defstruct [:total]
end
defmodule Shop.Cart do
  use GenServer
  defstruct [:items, :note]
  def init(x), do: {:ok, %Shop.Cart{items: x}}
  def handle_call(:all, _, cart), do: {:reply, Shop.Format.text(cart), cart}
end
defmodule Shop.Till do
  use GenServer
  def init(_), do: {:ok, %Shop.Sum{total: 0}}
  def handle_cast(_, sum), do: {:noreply, sum}
end
defmodule Shop.Bell do
  use GenServer
  @vsn "3"
  def init(_), do: {:ok, 0}
  def handle_cast(:ring, n), do: {:noreply, n + 1}
end
defmodule Shop.Door do
  @behaviour :gen_statem
  def callback_mode, do: :handle_event_function
  def init(_), do: {:ok, :shut, 1}
  def handle_event(_, _, _, _), do: :keep_state_and_data
end
defmodule Shop.Children do
  use DynamicSupervisor
  def init(_), do: DynamicSupervisor.init(strategy: :one_for_one)
end
defmodule Shop.Top do
  use Supervisor
  def init(_), do: Supervisor.init([Shop.Cart], strategy: :one_for_one)
end
defmodule Shop.Stock do
  use Agent
  def start_link(x), do: Agent.start_link(fn -> x end)
end
defmodule Shop.Format do
  def text(x), do: inspect(x)
end
defprotocol Shop.Price do
  def of(x)
end
"""
_EDITS = {
    "[:items, :note]": "[:items, :bonus]",
    "[:total]": "[:total, :tax]",
    "{:noreply, n + 1}": "{:noreply, n + 2}",
    "{:ok, :shut, 1}": "{:ok, :open, 1}",
    "init(strategy: :one_for_one)": "init(strategy: :one_for_one, max_restarts: 9)",
    "[Shop.Cart]": "[Shop.Cart, Shop.Till]",
    "fn -> x end": "fn -> [x] end",
    "inspect(x)": "inspect([x])",
}
_ADDED = """
defimpl Shop.Price, for: Integer do
  def of(x), do: x
end
"""

WANTED: Mapping[str, tuple[ModuleInstruction, str]] = {
    "Cart": (
        Update("Elixir.Shop.Cart", Advanced([]), ("Elixir.Shop.Format",)),
        "the struct Shop.Cart has other fields: + bonus, - note",
    ),
    "Till": (Update("Elixir.Shop.Till", Advanced([])), "the struct Shop.Sum has other fields: + tax"),
    "Bell": (Update("Elixir.Shop.Bell", Soft()), "what differs: handle_cast/2"),
    "Door": (
        Update("Elixir.Shop.Door", Advanced([])),
        "    def code_change(_old_vsn, state, data, _extra), do: {:ok, state, data}  # from 1",
    ),
    "Children": (
        Update("Elixir.Shop.Children", SupervisorChange()),
        "a DynamicSupervisor: its init/1 is called again, and its child specs are read again",
    ),
    "Top": (Update("Elixir.Shop.Top", SupervisorChange()), "its init/1 names Shop.Till, and did not before"),
    "Stock": (
        LoadModule("Elixir.Shop.Stock"),
        "it starts an Agent, whose state no code_change takes over: an apply can update it",
    ),
    "Format": (LoadModule("Elixir.Shop.Format"), ""),
    "Sum": (LoadModule("Elixir.Shop.Sum"), ""),
    "Price.Integer": (
        AddModule("Elixir.Shop.Price.Integer"),
        "  {load_module, 'Elixir.Shop.Price'} after this loads the one that is not consolidated, which looks for them",
    ),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both releases, laid out as mix does it."""
    if shutil.which("elixirc") is None:
        pytest.skip("no `elixirc`: apt install elixir, or brew install elixir")
    new = _OLD
    for was, now in _EDITS.items():
        assert was in new
        new = new.replace(was, now)
    found = []
    for vsn, text in (("1", _OLD), ("2", new + _ADDED)):
        root = tmp_path_factory.mktemp(f"shop{vsn}")
        ebin = root / "lib" / f"shop-{vsn}" / "ebin"
        build(root, {"shop.ex": text, f"lib/shop-{vsn}/ebin/none": ""})
        subprocess.run(["elixirc", "-o", ebin, root / "shop.ex"], check=True, timeout=60)
        modules = ",".join(f"'{file.stem}'" for file in sorted(ebin.glob("*.beam")))
        lines = (f'{{{name},"{v}"}}' for name, (v, _) in SYSTEM.items())
        files = {f"lib/{n}-{v}/ebin/{n}.app": app(n, v, needs=needs) for n, (v, needs) in SYSTEM.items()}
        files[f"lib/shop-{vsn}/ebin/shop.app"] = app("shop", vsn, f"[{modules}]")
        files[f"releases/{vsn}/shop.rel"] = rel(*lines, f'{{shop,"{vsn}"}}', vsn=vsn)
        found.append(build(root, files))
    return found


@pytest.fixture(scope="module")
def drafted(shop: list[Path]) -> Mapping[str, Drafted]:
    """The instructions of the way up, by module."""
    (found,) = draft(*map(read_release, shop))
    return {d.instruction.module: d for d in found.up if isinstance(d.instruction, ModuleInstruction)}


def test_only_what_changed_is_named(drafted: Mapping[str, Drafted]) -> None:
    assert drafted.keys() == {f"Elixir.Shop.{name}" for name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_each_module_has_the_instruction_of_its_kind(drafted: Mapping[str, Drafted], name: str) -> None:
    found, (instruction, said) = drafted[f"Elixir.Shop.{name}"], WANTED[name]
    assert found.instruction == instruction
    assert not said or said in found.comments


def test_a_default_code_change_is_nobodys_and_a_struct_is_rebuilt(drafted: Mapping[str, Drafted]) -> None:
    said = drafted["Elixir.Shop.Cart"].comments
    assert f"{TODO}: it has no code_change/3 of its own; review this one, and add it to the module:" in said
    down = "Map.merge(Map.drop(state, [:bonus]), %{note: ...})"
    assert f"    def code_change({{:down, _vsn}}, state, _extra), do: {{:ok, {down}}}  # back to 1" in said
    up = "struct(Shop.Cart, Map.from_struct(state))"
    assert f"    def code_change(_old_vsn, state, _extra), do: {{:ok, {up}}}  # from 1" in said


def test_a_default_code_change_is_no_answer(shop: list[Path]) -> None:
    old, new = map(read_release, shop)
    (found,) = draft(old, new)
    lines = draft_text(found, new).splitlines()
    file = draft_path(found, new)
    file.write_text("\n".join(line for line in lines if not line.lstrip().startswith("%%")), encoding="utf-8")
    told = [d.message for d in plan(old, read_release(shop[1])).warnings if d.code == "no_code_change"]
    file.unlink()
    assert "the states of 'Elixir.Shop.Cart' are to change, and its code_change returns what it is given" in told
    assert "the states of 'Elixir.Shop.Door' are to change, and it exports no code_change" in told


def test_todos_begin_their_lines_above_their_instructions(shop: list[Path]) -> None:
    old, new = map(read_release, shop)
    (found,) = draft(old, new)
    lines = [line.strip() for line in draft_text(found, new).splitlines()]
    todos = [n for n, line in enumerate(lines) if line.startswith(f"%% {TODO}")]
    assert len(todos) == found.todos() > 0
    place = lines.index("{update, 'Elixir.Shop.Door', {advanced, []}},")
    above = lines[place - 4 : place]
    assert above[0].startswith(f"%% {TODO}: it has no code_change/4")
    assert above[3].startswith("%%     def code_change(_old_vsn, state, data, _extra)")
