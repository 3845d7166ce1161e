"""What an object is, without asking it.

`isinstance` and class patterns read `__class__`, which proxies answer with code of their own: one that stands for a
request outside of any request raises. Whoever walks through other people's namespaces asks the type instead.
"""

from __future__ import annotations

from typing import TypeGuard, TypeVar

T = TypeVar("T")


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """Say whether *value* really is of *kind*."""
    return issubclass(type(value), kind)
