"""Which files are modules: what Python's import would find, were the folder on its path.

A name may be there in several forms: a package and a file, or a C extension with the pure Python that it was made from
or that stands in for it. Import takes the package before the file, and an extension that fits the interpreter before
a source. What it takes is the module; the others are data. An extension that fits no interpreter of this kind is
still recorded, so that two releases can be compared, unless there is a source of its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Literal, TypeAlias

from relup.document.text import is_file

Form: TypeAlias = Literal["source", "extension"]
_BINARY = (".so", ".pyd")
_PACKAGE = "__init__"


@dataclass(frozen=True, slots=True)
class Found:
    """A module and its file."""

    module: str
    path: str
    """Of thousands: a `Path` for each would cost more than reading them."""
    form: Form = "source"


def module_of(path: str) -> tuple[str, Form] | None:
    """Return the module that a file below the root would be, None for data, scripts, stubs and bytecode.

    The last part of an extension's name may be no identifier: mypyc names helpers by a hash, and imports them.
    """
    *folders, file = path.split("/")
    stem, dot, suffix = file.partition(".")
    form: Form = "source" if suffix == "py" else "extension"
    if not stem or (form == "extension" and not f"{dot}{suffix}".endswith(_BINARY)):
        return None
    named = (*folders, stem) if form == "source" else folders
    if "__pycache__" in folders or not all(s.isidentifier() for s in named):
        return None
    return ".".join(folders if stem == _PACKAGE and folders else (*folders, stem)), form


def chosen(found: Iterable[Found]) -> Iterator[Found]:
    """Yield for each module the file that import would take, sorted by name."""
    best: dict[str, Found] = {}
    for one in found:
        other = best.get(one.module)
        if other is None or _rank(one) < _rank(other):
            best[one.module] = one
    yield from (best[name] for name in sorted(best))


def _rank(found: Found) -> tuple[bool, bool, int, str]:
    """Return what is the smaller the sooner import takes it."""
    stem, dot, rest = found.path.rpartition("/")[2].partition(".")
    suffix = f"{dot}{rest}"
    kinds = (*EXTENSION_SUFFIXES, ".py")
    fits = suffix in kinds
    return not fits, stem != _PACKAGE, kinds.index(suffix) if fits else 0, found.path


def extension_path(root: Path, module: str) -> Path | None:
    """Return the file of a C extension under *root* that this interpreter would import, or None."""
    base = os.path.join(root, *module.split("."))  # noqa: PTH118  thousands of them
    names = (*(f"{base}/{_PACKAGE}{s}" for s in EXTENSION_SUFFIXES), *(f"{base}{s}" for s in EXTENSION_SUFFIXES))
    return next((Path(name) for name in names if is_file(name)), None)
