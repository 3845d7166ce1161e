"""New namespaces must not keep what only staging was for.

A body may have bound the view of `sys.modules`, a clone, or a watching wrapper. Those found in namespaces and class
bodies are replaced by what they stand for; those hidden in closures, defaults and lists forward to it.
"""

from __future__ import annotations

import copyreg
import typing
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from relup.runtime.code.kinds import is_a


def cleanse(namespaces: Iterable[dict[str, Any]], genuine: Mapping[int, Any]) -> None:
    """Replace, in *namespaces* and in the classes they define, each object that *genuine* has by its identity."""
    for namespace in namespaces:
        module = namespace.get("__name__")
        for key, value in list(namespace.items()):
            if id(value) in genuine:
                namespace[key] = genuine[id(value)]
            elif is_a(value, type) and value.__module__ == module:
                _cleanse_class(value, genuine)


def _cleanse_class(cls: type, genuine: Mapping[int, Any]) -> None:
    for key, value in list(vars(cls).items()):
        if id(value) in genuine:
            with suppress(TypeError, AttributeError):
                setattr(cls, key, genuine[id(value)])
        elif is_a(value, type) and value.__qualname__.startswith(f"{cls.__qualname__}."):
            _cleanse_class(value, genuine)


def forget_pickling(namespaces: Collection[int]) -> None:
    """Make `copyreg` let go of how instances of dropped classes are pickled."""
    for kind, reduce in list(copyreg.dispatch_table.items()):
        if _globals(reduce) in namespaces:
            copyreg.dispatch_table.pop(kind, None)


def forget_typing(namespaces: Collection[int]) -> None:
    """Make `typing` let go of code: of its caches, which keep every `Optional[Account]` alive that was ever written,
    and of the caches and overloads that these namespaces declared.
    """
    cleanups: list[Any] = getattr(typing, "_cleanups", [])
    for clear in cleanups:
        clear()
    cleanups[:] = [c for c in cleanups if _globals(_cached(c)) not in namespaces]
    # every overload is this one function, and decorators leave the classes that they are given on it
    vars(getattr(typing, "_overload_dummy", _nothing)).pop("__dataclass_transform__", None)
    for names in list(getattr(typing, "_overload_registry", {}).values()):
        for lines in list(names.values()):
            for line, function in list(lines.items()):
                if _globals(function) in namespaces:
                    del lines[line]


def _nothing() -> None:
    """Stand for what this interpreter does not have."""


def _cached(clear: Any) -> Any:
    return getattr(getattr(clear, "__self__", None), "__wrapped__", None)


def _globals(function: Any) -> int:
    """Return the namespace of a function, also of one that a class made its own method of."""
    return id(getattr(getattr(function, "__func__", function), "__globals__", None))
