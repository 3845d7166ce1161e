"""Annotations of functions and classes in unchanged modules, which keep old classes alive.

`def total(xs: list[Account])` evaluates `Account` once. Nothing calls it, but the old class would never be freed, and
whoever reads type hints later would get the old one. Annotations are dicts, so they can be written by the swap.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import FunctionType, GenericAlias, UnionType
from typing import Any, TypeAlias

from relup.runtime.code.kinds import is_a
from relup.runtime.code.writes import Container, Write

Translate: TypeAlias = "Callable[[object], object]"


def exchanged(namespace: Container, translate: Translate) -> Iterator[Write]:
    """Return the writes to annotations of what *namespace* defines; *translate* returns its argument when unchanged."""
    name = namespace.get("__name__")
    for value in list(namespace.values()):
        if is_a(value, FunctionType):
            if value.__globals__ is namespace:
                yield from _written(value.__annotations__, translate)
        elif is_a(value, type) and value.__module__ == name:
            yield from _of_class(value, namespace, translate)


def _of_class(cls: type, namespace: Container, translate: Translate) -> Iterator[Write]:
    for key, value in list(vars(cls).items()):
        function = _function(value)
        if key == "__annotations__" and type(value) is dict:
            yield from _written(value, translate)
        elif is_a(function, FunctionType) and function.__globals__ is namespace:
            yield from _written(function.__annotations__, translate)


def _function(value: object) -> object:
    match value:
        case staticmethod() | classmethod():
            return value.__func__
        case property():
            return value.fget
        case _:
            return value


def _written(found: Container, translate: Translate) -> Iterator[Write]:
    for key, value in list(found.items()):
        new = translated(value, translate)
        if new is not value:
            yield Write(found, key, value, new)


def translated(annotation: Any, translate: Translate) -> Any:
    """Return *annotation* with classes exchanged, itself when it has none of them or cannot be rebuilt."""
    new = translate(annotation)
    arguments = getattr(annotation, "__args__", None)
    if new is not annotation or not isinstance(arguments, tuple):
        return new
    changed = tuple(translated(a, translate) for a in arguments)
    if all(a is b for a, b in zip(changed, arguments, strict=True)):
        return annotation
    alias: Any = annotation
    try:
        match annotation:
            case UnionType():
                return functools.reduce(operator.or_, changed)
            case GenericAlias():
                rebuild: Any = type(annotation)
                return rebuild(annotation.__origin__, changed)
            case _:
                return alias.copy_with(changed)
    except (TypeError, AttributeError):
        return annotation
