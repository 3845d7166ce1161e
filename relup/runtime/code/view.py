"""`sys.modules` as one thread sees it, so that new code runs beside the old without anybody noticing.

A body finds its own module through `sys.modules` in a dozen ways (dataclasses, enums, typing, `import_module`), so
giving it only another `__import__` is silently wrong in half of them; swapping entries for the duration of a body
shows half a module to every other thread. The view is a dict in the place of `sys.modules` that answers the staging
thread from an overlay and everybody else from the real dict; a hook in the place of `builtins.__import__` sends
that thread through importlib's Python code, which asks the view, and everybody else through the original.

What is new and private (modules of the release, replacements, aliases below them) goes to the overlay. Modules of
others that a body imports for the first time go to the real dict, as any import would put them there: two copies
of `decimal` would be worse than one early one. Such a *late import* that itself imports the release moves to the
overlay before it can see anything new. After staging the view forwards everything, for bodies that kept it.

Not seen through the view: `pickle` in C reads the interpreter's own dict, so pickling an own class inside a body
raises; a thread that a body starts runs in the old world.
"""

# ruff: noqa: D102 - the methods are those of dict

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import resolve_name
from threading import Lock, get_ident
from types import ModuleType
from typing import Any, Final

from relup.runtime.code.writes import MISSING

ABSENT: Final = MISSING
NOBODY: Final = -1

# `sys.modules` and `builtins.__import__` belong to the process, so this lock does too: one view at a time.
_ONE_VIEW: Final = Lock()


class ModulesView(dict[str, Any]):
    """A `sys.modules` that is the real one for every thread but one; its own storage stays empty."""

    __slots__ = ("_adopted", "_private", "late", "overlay", "real", "thread")

    def __init__(self, real: dict[str, Any], overlay: dict[str, Any], private: Callable[[str], bool]) -> None:
        super().__init__()
        self.real = real
        self.overlay = overlay
        self.late: dict[str, ModuleType] = {}
        self.thread = NOBODY
        self._private = private
        self._adopted: set[str] = set()

    def mine(self) -> bool:
        """Say whether the calling thread sees the overlay."""
        return get_ident() == self.thread

    def retire(self) -> None:
        """Show everybody the real dict from now on, and let go of what said which names are private."""
        self.thread = NOBODY
        self._private = _none_private

    def merged(self) -> dict[str, Any]:
        """Return what the calling thread sees, as a plain dict."""
        seen = self.real.copy()
        if self.mine():
            for name, value in self.overlay.items():
                if value is ABSENT:
                    seen.pop(name, None)
                else:
                    seen[name] = value
        return seen

    def get(self, key: str, default: Any = None) -> Any:
        if self.mine():
            found = self.overlay.get(key, self)
            if found is not self:
                return default if found is ABSENT else found
        return self.real.get(key, default)

    def __getitem__(self, key: str) -> Any:
        found = self.get(key, self)
        if found is self:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key, self) is not self

    def __setitem__(self, key: str, value: Any) -> None:
        if not self.mine():
            self.real[key] = value
        elif self._is_private(key, value):
            self.overlay[key] = value
        else:
            self.overlay.pop(key, None)
            self.late[key] = self.real[key] = value

    def __delitem__(self, key: str) -> None:
        if not self.mine():
            del self.real[key]
        elif key not in self:
            raise KeyError(key)
        elif self.late.pop(key, None) is not None:
            self.real.pop(key, None)
        elif key in self.real or self._private(key):
            self.overlay[key] = ABSENT
        else:
            self.overlay.pop(key, None)

    def _is_private(self, key: str, value: Any) -> bool:
        """Say where the staging thread's own entry belongs: only an import of somebody else's module is public."""
        if key in self._adopted or self._private(key) or self.real.get(key, value) is not value:
            return True
        spec = getattr(value, "__spec__", None)
        return key not in self.late and getattr(spec, "name", None) != key

    def pop(self, key: str, *default: Any) -> Any:
        found = self.get(key, self)
        if found is not self:
            del self[key]
            return found
        if default:
            return default[0]
        raise KeyError(key)

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        for key, value in dict(*others, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __or__(self, other: Any) -> Any:
        return self.merged() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.merged()

    def popitem(self) -> tuple[str, Any]:
        key = next(reversed(self.merged()))
        return key, self.pop(key)

    def clear(self) -> None:
        for key in self.merged():
            del self[key]

    def copy(self) -> dict[str, Any]:
        return self.merged()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return self._now().keys()

    def values(self) -> Any:
        return self._now().values()

    def items(self) -> Any:
        return self._now().items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._now()))

    def __len__(self) -> int:
        return len(self._now())

    def __eq__(self, other: object) -> bool:
        return self is other or self._now() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self._now())

    def _now(self) -> Mapping[str, Any]:
        return self.merged() if self.mine() else self.real

    def adopt(self, importer: Any, target: str) -> None:
        """Make *importer* private when it is a late import about to see *target* of the release.

        Every late import that is still being executed goes with it: each of them waits for this one.
        """
        if importer in self.late and (target in self.overlay or self._private(target)):
            begun = [n for n, m in self.late.items() if getattr(m.__spec__, "_initializing", False)]
            for name in dict.fromkeys((importer, *begun)):
                self._adopted.add(name)
                self.overlay[name] = self.late.pop(name)
                self.real.pop(name, None)


def _none_private(_: str) -> bool:
    return False


def _nothing() -> None:
    """Have nothing to do after an import."""


class ImportHook:
    """What stands in the place of `builtins.__import__` under a view; calls `after` each import of its thread."""

    def __init__(self, view: ModulesView, original: Callable[..., Any]) -> None:
        self._view = view
        self.original = original
        self.after: Callable[[], None] = _nothing

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the interpreter's names, which callers may spell
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if not self._view.mine():
            return self.original(name, globals, locals, fromlist, level)
        if self._view.late and globals:
            package = globals.get("__package__") or globals.get("__name__", "")
            target = resolve_name("." * level + name, package) if level and package else name
            self._view.adopt(globals.get("__name__"), target)
        found = importlib.__import__(name, globals, locals, fromlist or (), level)
        self.after()
        return found


@contextmanager
def installed(view: ModulesView) -> Iterator[ImportHook]:
    """Show *view* to the calling thread; afterwards everything is where it was, and the view forwards for ever.

    The caller holds the lock of `exclusive()`. A hook that somebody else put over ours meanwhile is left alone: ours
    forwards.
    """
    hook = ImportHook(view, builtins.__import__)
    try:
        sys.modules = view
        builtins.__import__ = hook
        view.thread = get_ident()
        yield hook
    finally:
        view.retire()
        if builtins.__import__ is hook:
            builtins.__import__ = hook.original
        if sys.modules is view:
            sys.modules = view.real


@contextmanager
def exclusive() -> Iterator[dict[str, Any]]:
    """Wait until no other node of this process stages, and yield the real `sys.modules`."""
    with _ONE_VIEW:
        yield sys.modules


@contextmanager
def outside(view: ModulesView) -> Iterator[None]:
    """Let the staging thread see what everybody sees, for questions about old code."""
    thread, view.thread = view.thread, NOBODY
    try:
        yield
    finally:
        view.thread = thread
