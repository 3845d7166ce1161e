"""What is to be staged, and what can be refused before any body runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import NamespaceLoader
from pathlib import Path
from typing import Any

from relup.runtime.code.errors import StagingError
from relup.runtime.code.failure import describe
from relup.runtime.code.source import Source
from relup.runtime.code.writes import Container


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be staged: new versions, modules that go, and where the rest of the new release is.

    *optional* are members that need not be importable here, when they are new and nothing imports them.
    *dormant* are members that nobody has loaded: an upgrade does not execute them, as a boot does not either. Many
    a package has a part that this machine cannot run, and that nothing asks for.
    """

    sources: Mapping[str, Source]
    removed: tuple[str, ...]
    known: Mapping[str, Path]
    dormant: Mapping[str, Source] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def members(self) -> dict[str, Source]:
        """Return the modules that the upgrade brings, executed or not, in its order."""
        return {**self.sources, **self.dormant}


def order(
    sources: Sequence[Source], removed: Sequence[str], known: Mapping[str, Path], optional: Iterable[str] = ()
) -> Order:
    """Return the order; StagingError when a module is named twice."""
    names = [*(s.name for s in sources), *removed]
    for name, times in Counter(names).items():
        if times > 1:
            raise StagingError(name, 0, "is named twice in one upgrade")
    return Order(
        {s.name: s for s in sources},
        tuple(removed),
        {n: Path(p).absolute() for n, p in known.items()},
        optional=frozenset(optional),
    )


def awake(wanted: Order, versions: Container, paths: Container) -> Order:
    """Return *wanted* without executing what nobody has loaded; StagingError for such a text that does not compile.

    A module that is new has not been loaded for another reason, and is executed early, so that what it lacks is
    known before the window; a `__main__` is for those who start it.
    """
    dormant = {n: s for n, s in wanted.sources.items() if n not in versions and (n in paths or is_script(n))}
    for source in dormant.values():
        compiled(source)
    return replace(wanted, sources={n: s for n, s in wanted.sources.items() if n not in dormant}, dormant=dormant)


def is_script(name: str) -> bool:
    """Say whether *name* is the part of a package that is executed to run it."""
    return name.rpartition(".")[2] == "__main__"


def compiled(source: Source) -> None:
    """Raise StagingError, with the line, when the text is no Python."""
    try:
        compile(source.text, source.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise StagingError(source.name, getattr(error, "lineno", 0) or 0, describe(error), path=source.path) from None


def check(wanted: Order, modules: Container, versions: Container, paths: Container) -> None:
    """Raise StagingError for a new module whose name is taken, and for a removal of what the release has not."""
    for name, source in wanted.sources.items():
        if name in modules and name not in versions and not is_namespace(modules[name]):
            raise StagingError(name, 0, "a module of this name is loaded that is not of the release", path=source.path)
    for name in wanted.removed:
        if name not in versions and name not in paths:
            raise StagingError(name, 0, "cannot be removed: the release that runs has no such module")


def is_namespace(module: Any) -> bool:
    """Say whether *module* is a package without a file."""
    return isinstance(getattr(module, "__loader__", None), NamespaceLoader)


def ancestors(name: str) -> list[str]:
    """Return the packages that *name* is in, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
