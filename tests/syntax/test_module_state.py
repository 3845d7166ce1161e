"""Which variables of a module hold state that loading it again would lose."""

from __future__ import annotations

import pytest

from relup.syntax.module_state import Variable, changes, containers

HELD = {
    "an item": "X = {}\ndef f(k):\n    X[k] = 1\n",
    "a deleted item": "X = {}\ndef f(k):\n    del X[k]\n",
    "a method": "X: list[int] = []\nasync def f():\n    X.append(1)\n",
    "a constructor": "import collections\nX = collections.deque()\ndef f():\n    return X.popleft()\n",
    "a global": "X = 0\ndef f():\n    global X\n    X += 1\n",
    "in a method": "X = set()\nclass A:\n    def f(self):\n        X.add(self)\n",
    "a counter": "import itertools\nX = itertools.count()\ndef f():\n    return next(X)\n",
}
NOT_HELD = {
    "a constant": "X = {}\ndef f():\n    return X\n",
    "a local of the same name": "X = {}\ndef f():\n    X = {}\n    X[1] = 2\n",
    "a parameter of the same name": "X = []\ndef f(X):\n    X.append(1)\n",
    "a registry that decorators fill at import": "X = {}\ndef r(f):\n    X[f.__name__] = f\n@r\ndef g(): ...\n",
    "full from the start": "X = {1: 2}\ndef f():\n    X[1] = 3\n",
    "no Python": "X = {\n",
}


def held(text: str) -> list[Variable]:
    """Return the variables that a module begins with and changes itself."""
    return [v for v in containers(text.encode()) if (v.name,) in changes(text.encode())]


@pytest.mark.parametrize("text", HELD.values(), ids=HELD)
def test_state_is_found_on_its_line(text: str) -> None:
    (found,) = held(text)
    assert found.name == "X"
    assert text.splitlines()[found.line - 1].startswith("X")


@pytest.mark.parametrize("text", NOT_HELD.values(), ids=NOT_HELD)
def test_what_is_no_state_is_not(text: str) -> None:
    assert held(text) == []


def test_changes_of_what_other_modules_have_are_seen() -> None:
    text = "from a import b\ndef f(k):\n    b.CACHE[k] = 1\n    b.LIMIT = 2\n    own = []\n    own.append(k)\n"
    assert changes(text.encode()) == {("b", "CACHE"), ("b", "LIMIT")}
