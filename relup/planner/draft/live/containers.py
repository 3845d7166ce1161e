"""How a container is made of another with its elements turned: of the same type, with all that it has beside them."""

from __future__ import annotations

from collections.abc import Sequence

from relup.model.shapes import Shape, type_label

_MADE_LIKE = {"OrderedDict": "dict", "Counter": "dict", "defaultdict": "dict", "deque": "list"}


def contained(
    type_: str, var: str, element: str, text: str | None, key: str | None, *, factory: str, start: str | None = None
) -> str | None:
    """Return what makes a container like *var*; None for one of which that is not known.

    *text* and *key* are expressions for an *element* and a `key` of it, None where these stay as they are. With a
    *start*, which is how it begins if not like *var*, it is known before what it holds is made, where it can be.
    """
    if start is not None and (begun := _empty(type_, var, factory)):
        put, like = ("extend", "list") if made_like(type_label(type_)) == "list" else ("update", "dict")
        contents = contained(like, var, element, text, key, factory=factory)
        return f"grown({var}, {start or begun}, lambda made: made.{put}({contents}))"
    pairs = f"{{{key or 'key'}: {text or element} for key, {element} in {var}.items()}}"
    match type_label(type_):
        case "list":
            return f"[{text} for {element} in {var}]"
        case "tuple" | "frozenset" as name:
            return f"{name}({text} for {element} in {var})"
        case "set":
            return f"{{{text} for {element} in {var}}}"
        case "deque":
            return f"type({var})(({text} for {element} in {var}), {var}.maxlen)"
        case "dict":
            return pairs
        case "defaultdict":
            return f"type({var})({factory}, {pairs})"
        case "OrderedDict" | "Counter":
            return f"type({var})({pairs})"
        case _:
            return None


def _empty(type_: str, var: str, factory: str) -> str | None:
    """Return what makes a container like *var* without elements; None for one that nothing is put into later."""
    match type_label(type_):
        case "list":
            return "[]"
        case "dict":
            return "{}"
        case "deque":
            return f"type({var})((), {var}.maxlen)"
        case "defaultdict":
            return f"type({var})({factory})"
        case "OrderedDict" | "Counter":
            return f"type({var})()"
        case _:
            return None


def made_like(name: str) -> str:
    """Return the built-in container that others, and classes that derive from them, may be made of."""
    return _MADE_LIKE.get(name, name)


def derived(contains: str, cls: str, var: str, contents: str, *, factory: str) -> str:
    """Return what makes an instance of a class that derives from a container, with new *contents*."""
    match contains:
        case "deque":
            return f"{cls}({contents}, {var}.maxlen)"
        case "defaultdict":
            return f"{cls}({factory}, {contents})"
        case _:
            return f"{cls}({contents})"


def keys_of(shape: Shape) -> Sequence[Shape]:
    """Return the keys of a mapping, with a text where some of them are texts or numbers."""
    plain = shape.fields or sum(k.count for k in shape.keys) < sum(i.count for i in shape.items)
    return (*shape.keys, Shape("str", 0, 0)) if plain else shape.keys
