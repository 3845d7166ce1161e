"""The house: which room may import which, and which third-party library lives where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "relup"
ROOMS = (
    "diagnostics",
    "syntax",
    "model",
    "document",
    "planner",
    "executor",
    "runtime",
    "targets",
    "report",
    "testing",
    "cli",
)
PEERS = {"document", "planner", "executor", "runtime"}
LIBRARIES = {
    "yaml": {"document"},
    "jsonschema": {"document"},
    "referencing": {"document"},
    "networkx": {"planner"},
    "lark": {"document"},
    "click": {"cli"},
    "rich": {"cli", "report"},
    "pytest": {"testing"},
    "_pytest": set(),
    "hypothesis": {"testing"},
}


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "relup" and len(parts) > 1 else None


def imports() -> Iterator[tuple[Path, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        here = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names):
                    yield from ((path, here, alias.name) for alias in names)
                case ast.ImportFrom(module=str(module)):
                    yield path, here, module


def fault(here: str, module: str) -> str | None:
    there = room(module)
    if there is None or here in ("__init__", "__main__", there):
        return None
    if there not in ROOMS or ROOMS.index(there) > ROOMS.index(here):
        return "a room imports only rooms above it"
    if {here, there} <= PEERS:
        return "document, planner, executor and runtime meet in the model only"
    return "the runtime imports the reading of texts only" if here == "runtime" and there != "syntax" else None


def test_rooms_import_only_what_they_may() -> None:
    found = [f"{path}: {module}: {why}" for path, here, module in imports() if (why := fault(here, module))]
    assert found == []


def test_each_library_lives_in_its_room() -> None:
    strays = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path, here, module in imports()
        if (homes := LIBRARIES.get(module.split(".")[0])) and here not in homes
    ]
    assert strays == []


def test_no_module_is_longer_than_400_lines() -> None:
    long = [str(p) for p in PACKAGE.rglob("*.py") if len(p.read_text(encoding="utf-8").splitlines()) > 400]
    assert long == []
