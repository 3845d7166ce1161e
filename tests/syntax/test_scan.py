"""What is seen of a text without parsing it is never less than what its syntax tree says."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx
import pytest

from relup.syntax.meaning import same_meaning
from relup.syntax.outline import outline
from relup.syntax.scan import early_words, every_import, heads, words

LIBRARY = [
    *sorted(Path(ast.__file__).parent.glob("*.py")),
    *sorted(Path(networkx.__file__).parent.glob("classes/*.py")),
]
TRICKY = {
    "parentheses and comments": "from a import (b, # c)\n   d as e,\n)\n",
    "a continued line": "from a import b, \\\n    c\nimport d.e \\\n   as f\n",
    "several in a line": "import a; from b import c; import d as e\n",
    "behind a colon": "try: import a\nexcept ImportError: from b import c\n",
    "after type checking": "if TYPE_CHECKING:\n    import a\n\ndef f():\n    import b\nelse_ = 1\n",
    "not type checking": "import typing\nif typing.TYPE_CHECKING:\n    import a\nelse:\n    import b\n",
    "without blanks": "from.a import b\nfrom .import c\nif x: from d import e\n",
    "names that are not English": "from größe import maß\nclass A(maß): ...\n",
    "matched": "from a import b, c\nmatch 1:\n    case b.X if c:\n        pass\n",
    "a keyword before a quote": 'def f():\n    return"import a"\nimport b\n',
    "relative": "from . import a\nfrom .. import b\nfrom ..c import d\nfrom .e import *\n",
    "in a class and a function": "class A:\n    from a import b\n    def f(self):\n        import c\n",
    "text that looks like one": 'X = """\nimport a\n"""\nY = "import b"\n# import c\nZ = f"{X}"\n',
    "escapes": "X = 'it\\'s'\nY = r'\\d'\nimport a\nZ = b'\\x00\"'\nfrom b import c\n",
    "a default that is called": "from a import b\ndef f(x=b(1, (2, 3)), *, y: int = 0) -> int:\n    return c\n",
    "a function that is called": "from a import b\ndef f():\n    return b()\nX = f()\n",
    "a head over lines": "from a import b\ndef f(\n    x=b,\n):\n    '''Say.'''\n    return 1\n",
    "one line": "from a import b\ndef f(): return b\nclass A: x = b\n",
}


def check(text: bytes) -> None:
    """Hold what is seen against what the tree says."""
    found = outline(text)
    assert found
    early = {u.names[0] for u in found.uses if u.names}
    assert early <= early_words(text)
    bound = {(i.key, i.path, i.attribute) for i in (*found.imports, *found.late) if not i.typing_only}
    seen = {(i.key, i.path, i.attribute) for i in every_import(text)}
    assert bound <= seen
    mentioned = {word for i in found.imports for word in (*i.path.split("."), i.key) if word not in ("", "*")}
    assert mentioned <= heads(text)


@pytest.mark.parametrize("text", TRICKY.values(), ids=TRICKY)
def test_imports_and_early_words_are_seen(text: str) -> None:
    check(text.encode())


def test_they_are_seen_in_real_modules() -> None:
    texts = [path.read_bytes() for path in LIBRARY]
    for text in (t for t in texts if len(t) < 60_000):
        check(text)
    assert len(texts) > 150


@pytest.mark.parametrize("text", TRICKY.values(), ids=TRICKY)
def test_comments_and_docstrings_change_no_word_and_no_meaning(text: str) -> None:
    commented = f'# from x import y\n"""It\'s "this": import z."""\n{text}\n# "open\n'
    assert words(commented.encode()) == words(text.encode())
    assert same_meaning(commented.encode(), text.encode())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("X = 1_000", "X = 1000"),
        ("X = 0XFF", "X = 0xff"),
    ],
)
def test_another_spelling_is_no_other_meaning(one: str, two: str) -> None:
    assert same_meaning(one.encode(), two.encode())


def test_what_cannot_be_parsed_has_no_outline_and_no_meaning() -> None:
    deep = b"-" * 200_000 + b"1"
    assert outline(deep) is None
    assert not same_meaning(deep, b"#\n" + deep)


def test_imports_for_type_checkers_are_left_out() -> None:
    found = {i.key for i in every_import(TRICKY["after type checking"].encode())}
    assert found == {"b"}
