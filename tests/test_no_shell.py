"""No shell is ever asked: not by Python, and not by what runs in a node of Erlang or Elixir."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.test_architecture import PACKAGE

_ASKING = frozenset(
    {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell", "subprocess_shell", "startfile"}
)
_SHELLS = re.compile(r"\bos:cmd\b|:os\.cmd\b|\bSystem\.shell\b|\bspawn_executable\b.*\bsh\b|\{\s*spawn\s*,")


def asked(text: str) -> Iterator[str]:
    """Yield where Python's text asks for a shell."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module="os" | "subprocess" | "asyncio", names=names):
                yield from (f"{node.lineno}: {n.name}" for n in names if n.name in _ASKING)
            case ast.Attribute(value=ast.Name(id="os" | "subprocess" | "asyncio"), attr=name) if name in _ASKING:
                yield f"{node.lineno}: {name}"
            case ast.Call(keywords=keywords):
                yield from (f"{node.lineno}: shell=" for k in keywords if k.arg == "shell")
                first = node.args[0] if node.args else None
                if isinstance(first, ast.List | ast.Tuple) and first.elts and isinstance(first.elts[0], ast.Constant):
                    program = str(first.elts[0].value).rpartition("/")[2]
                    yield from [f"{node.lineno}: {program}"] if program in ("sh", "bash", "env", "cmd.exe") else []


def test_no_shell_is_asked_by_python() -> None:
    found = [
        f"{p.relative_to(PACKAGE)}:{where}"
        for p in sorted(PACKAGE.rglob("*.py"))
        for where in asked(p.read_text("utf-8"))
    ]
    assert found == []


def test_no_shell_is_asked_in_a_node() -> None:
    """What is sent to nodes as text stands in files of Python."""
    sources = [p for kind in ("*.erl", "*.hrl", "*.ex", "*.exs", "*.py", "*.eex") for p in sorted(PACKAGE.rglob(kind))]
    assert any(p.suffix == ".erl" for p in sources)
    assert [str(p) for p in sources if _SHELLS.search(p.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.system('ls')",
        "from os import popen",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'ls'])",
        "await asyncio.create_subprocess_shell('ls')",
    ],
)
def test_a_shell_would_be_found(text: str) -> None:
    assert len(list(asked(text))) == 1
