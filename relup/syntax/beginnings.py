"""What a server's state is when it begins: the class, the entries or the kind of value that its `init` returns.

Where `init` does not tell, because something else makes the state, annotations do: of what `init` returns, or of the
state that a handler is given.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from relup.syntax.parsed import tree_of
from relup.syntax.records import is_constant
from relup.syntax.states import HANDLERS, Function, functions_of
from relup.syntax.uses import dotted

_LITERALS = ((ast.List | ast.ListComp, "list"), (ast.Tuple, "tuple"), (ast.Set | ast.SetComp, "set"))
_NO_STATES = frozenset({"Stop", "Ignore"})
_BUILTINS = frozenset({"list", "tuple", "set", "frozenset", "int", "str", "float", "bytes", "bool"})


@dataclass(frozen=True, slots=True)
class Beginning:
    """One first state."""

    names: tuple[str, ...] = ()
    """What is called to make it, as a dotted name."""
    entries: Mapping[str, str | None] | None = None
    """Of a mapping its keys, with expressions for values that are constants."""
    kind: str = ""
    """The built-in type of anything else that is written out."""
    contents: str = ""
    """That type with those of its elements, as an annotation, where they are written out too."""
    held: Mapping[str, str] = field(default_factory=dict)
    """The same of the entries of a mapping."""


def beginnings(text: bytes, name: str) -> tuple[Beginning, ...]:
    """Return the first states of class *name*, as far as its text tells; those of one that it inherits from, not."""
    tree = tree_of(text)
    functions = dict(functions_of(tree)).get(name, {}) if tree else {}
    init = functions.get("init")
    found = list(_returned(init)) if init else []
    if not found or any(b == Beginning() for b in found):
        return tuple(_annotated(functions)) or tuple(b for b in found if b != Beginning())
    return tuple(found)


def contents(text: bytes, name: str) -> str:
    """Return the annotation that class *name* has for its states, where that says what they contain: `list[Row]`."""
    tree = tree_of(text)
    functions = dict(functions_of(tree)).get(name, {}) if tree else {}
    found = (_parsed(node) for node in _annotations(functions))
    return next((ast.unparse(n) for n in found if any(isinstance(part, ast.Subscript) for part in ast.walk(n))), "")


def _returned(init: Function) -> Iterator[Beginning]:
    nodes = list(ast.walk(init))
    for node in nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _of_value(node.value, nodes)


def _of_value(value: ast.expr, nodes: list[ast.AST]) -> Iterator[Beginning]:
    match value:
        case ast.IfExp(body=one, orelse=two):
            yield from (*_of_value(one, nodes), *_of_value(two, nodes))
        case ast.Await(value=inner):
            yield from _of_value(inner, nodes)
        case ast.Name(id=name) if name not in _NO_STATES:
            yield from _of_local(name, nodes)
        case _ if (found := _beginning(value)) is not None:
            yield found
        case _:
            pass


def _of_local(name: str, nodes: list[ast.AST]) -> Iterator[Beginning]:
    """Yield what a variable holds: what it was assigned, with the entries that are put into it one by one."""
    found: list[Beginning | None] = []
    more: dict[str, str | None] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=of)], value=value) if of == name:
                found.append(_beginning(value))
            case ast.AnnAssign(target=ast.Name(id=of), value=ast.expr() as value) if of == name:
                found.append(_beginning(value))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=of), slice=key)], value=value) if of == name:
                if (text := _text(key)) is None:
                    yield Beginning()
                else:
                    more[text] = _constant(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=of), attr="update" | "setdefault")) if of == name:
                yield Beginning()
            case ast.Call(args=args) if any(isinstance(a, ast.Name) and a.id == name for a in args):
                yield Beginning()
            case _:
                pass
    for one in found or [Beginning()]:
        if one is not None:
            rest = {k: kind for k, kind in one.held.items() if k not in more}
            filled = Beginning(entries={**(one.entries or {}), **more}, held=rest)
            yield filled if one.entries or more else replace(one, contents="")  # it may have more by then


def _beginning(value: ast.expr) -> Beginning | None:
    match value:
        case ast.Dict(keys=[]):
            return Beginning(kind="dict")  # its keys come later, and may be data
        case ast.Dict(keys=keys, values=values) if all(_text(k) is not None for k in keys):
            return _entries({_text(k) or "": v for k, v in zip(keys, values, strict=True)})
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=given) if all(k.arg for k in given):
            return _entries({k.arg or "": k.value for k in given})
        case ast.Call(func=function) if names := dotted(function):
            if names[-1] in _NO_STATES:
                return None
            return Beginning(kind=names[0]) if names[0] in _BUILTINS and len(names) == 1 else Beginning(names)
        case ast.Constant(value=constant):
            return Beginning(kind=type(constant).__name__)
        case _:
            kind = next((kind for nodes, kind in _LITERALS if isinstance(value, nodes)), "")
            return Beginning(kind=kind, contents=_contents(value))


def _entries(values: Mapping[str, ast.expr]) -> Beginning:
    held = {key: kind for key, value in values.items() if (kind := _contents(value))}
    return Beginning(entries={key: _constant(value) for key, value in values.items()}, held=held)


def _contents(value: ast.expr) -> str:
    """Return an annotation for a container whose elements are written out; nothing for any other expression."""
    match value:
        case ast.List(elts=[_, *_] as parts):
            return f"list[{_kinds(parts)}]"
        case ast.ListComp(elt=part):
            return f"list[{_kinds([part])}]"
        case ast.Tuple(elts=[_, *_] as parts):
            return f"tuple[{_kinds(parts)}, ...]"
        case ast.Set(elts=parts):
            return f"set[{_kinds(parts)}]"
        case ast.SetComp(elt=part):
            return f"set[{_kinds([part])}]"
        case _:
            return ""


def _kinds(parts: Sequence[ast.expr]) -> str:
    return " | ".join(dict.fromkeys(_kind(part) for part in parts))


def _kind(value: ast.expr) -> str:
    """Return an annotation for an element; `object` for one that may be anything."""
    match value:
        case ast.Constant(value=None):
            return "None"
        case ast.Constant(value=constant):
            return type(constant).__name__
        case ast.JoinedStr():
            return "str"
        case ast.List() | ast.Tuple() | ast.Set() | ast.ListComp() | ast.SetComp():
            empty = next(kind for nodes, kind in _LITERALS if isinstance(value, nodes))
            return _contents(value) or empty
        case ast.Dict() | ast.DictComp():
            return "dict"
        case ast.Call(func=function) if names := dotted(function):
            return ".".join(names)
        case _:
            return "object"


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _constant(value: ast.expr) -> str | None:
    return ast.unparse(value) if is_constant(value) else None


def _annotated(functions: Mapping[str, Function]) -> Iterator[Beginning]:
    """Yield the first annotation of a state, of those that name a class."""
    for node in _annotations(functions):
        names = dotted(_parsed(node))
        if names and names[-1] not in ("Any", "object"):
            yield Beginning(kind=names[0]) if len(names) == 1 and names[0] in _BUILTINS else Beginning(names)
            return


def _annotations(functions: Mapping[str, Function]) -> Iterator[ast.expr]:
    init = functions.get("init")
    handlers = [f for name in HANDLERS if (f := functions.get(name)) and f.args.args]
    found = (init.returns if init else None, *(f.args.args[-1].annotation for f in handlers))
    yield from (node for node in found if node)


def _parsed(node: ast.expr) -> ast.expr:
    """Return an annotation, of one in quotes what these have."""
    match node:
        case ast.Constant(value=str(text)) if (tree := tree_of(text)) and isinstance(tree.body[0], ast.Expr):
            return tree.body[0].value
        case _:
            return node
