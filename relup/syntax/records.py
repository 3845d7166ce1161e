"""The fields of a module's classes, with what they are annotated with and what they begin with, read from its text.

Dataclasses, attrs classes, NamedTuples, TypedDicts and models of annotated fields say the same in five ways; a plain
class says it in its `__init__`. Only the class itself is read: what it inherits may stand in another module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from relup.syntax.annotations import annotation, makes_field
from relup.syntax.difference import classes
from relup.syntax.parsed import tree_of
from relup.syntax.uses import dotted

Style: TypeAlias = Literal["dataclass", "attrs", "tuple", "typeddict", "model", "plain"]
_DECORATORS: Mapping[str, Style] = {
    "dataclass": "dataclass",
    "define": "attrs",
    "frozen": "attrs",
    "mutable": "attrs",
    "attrs": "attrs",
    "attributes": "attrs",
    "s": "attrs",
}
_BASES: Mapping[str, Style] = {
    "NamedTuple": "tuple",
    "TypedDict": "typeddict",
    "BaseModel": "model",
    "BaseSettings": "model",
    "Struct": "model",
}
_MAKERS = frozenset({"field", "Field", "ib", "attrib"})
_FACTORIES = ("default_factory", "factory")


class Field(NamedTuple):
    """One field as its class says it."""

    name: str
    kind: str
    """Its annotation; empty without one."""
    default: str | None
    """An expression that makes what it begins with; None when whoever makes an instance has to say it."""
    written: str
    """The whole field, as written."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one class says of its instances."""

    style: Style
    fields: tuple[Field, ...]
    frozen: bool = False
    """Whether it says that nothing is assigned to its instances."""
    assigns: tuple[str, ...] = ()
    """What its body assigns: `__slots__`, the members of an enum."""


def records(text: bytes) -> Mapping[str, Record]:
    """Return the classes of a module, by their qualified names; none when it does not parse."""
    tree = tree_of(text)
    return {name: _record(node) for name, node in classes(tree.body)} if tree else {}


def _record(node: ast.ClassDef) -> Record:
    style = _style(node)
    fields = {f.name: f for part in node.body for f in _field(part, style, _is_partial(node))}
    if style == "plain":
        fields |= {f.name: f for f in _assigned(node) if f.name not in fields}
    own = (f._replace(name=_mangled(f.name, node.name)) for f in fields.values())
    return Record(style, tuple(own), any(map(_freezes, node.decorator_list)), tuple(_assignments(node)))


def _mangled(name: str, cls: str) -> str:
    """Return what an attribute of a class is called outside of it."""
    return f"_{cls.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name


def _assignments(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        stores = ast.walk(part) if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ()
        yield from (n.id for n in stores if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _style(node: ast.ClassDef) -> Style:
    decorators = (dotted(d.func if isinstance(d, ast.Call) else d)[-1:] for d in node.decorator_list)
    bases = (dotted(b.value if isinstance(b, ast.Subscript) else b)[-1:] for b in node.bases)
    found = [_DECORATORS[d[0]] for d in decorators if d and d[0] in _DECORATORS]
    found += [_BASES[b[0]] for b in bases if b and b[0] in _BASES]
    return found[0] if found else "plain"


def _freezes(decorator: ast.expr) -> bool:
    match decorator:
        case ast.Call(func=function, keywords=keywords):
            return _freezes(function) or any(
                k.arg == "frozen" and isinstance(k.value, ast.Constant) and bool(k.value.value) for k in keywords
            )
        case _:
            return dotted(decorator)[-1:] == ("frozen",)


def _is_partial(node: ast.ClassDef) -> bool:
    """Say whether entries of a TypedDict may be left out: `total=False`."""
    return any(k.arg == "total" and isinstance(k.value, ast.Constant) and not k.value.value for k in node.keywords)


def _field(part: ast.stmt, style: Style, partial: bool) -> Iterator[Field]:
    match part:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=node, value=value) if makes_field(node):
            kind = annotation(node)
            optional = style == "typeddict" and (partial or kind.startswith("NotRequired"))
            yield Field(name, kind, "None" if optional else _default(value), ast.unparse(part))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function) as value) if style == "attrs":
            if dotted(function)[-1:] and dotted(function)[-1] in _MAKERS:
                types = [k.value for k in value.keywords if k.arg == "type"]
                kind = ast.unparse(types[0]) if types else ""
                yield Field(name, kind, _default(value), ast.unparse(part))
        case _:
            pass


def _default(value: ast.expr | None) -> str | None:
    """Return an expression for what a field begins with."""
    match value:
        case None:
            return None
        case ast.Call(func=function, args=args, keywords=keywords) if (dotted(function)[-1:] or ("",))[0] in _MAKERS:
            given = {k.arg: k.value for k in keywords}
            for name in _FACTORIES:
                if name in given:
                    return _called(given[name])
            first = args[0] if args else None
            return _default(given.get("default", first))
        case ast.Call(func=function, args=[factory, *_]) if dotted(function)[-1:] == ("Factory",):
            return _called(factory)
        case ast.Constant(value=constant) if constant is ...:
            return None
        case _:
            return ast.unparse(value)


def _called(factory: ast.expr) -> str:
    if isinstance(factory, ast.Lambda):
        return ast.unparse(factory.body)
    return f"{ast.unparse(factory)}()"


def _assigned(node: ast.ClassDef) -> Iterator[Field]:
    """Yield what the `__init__` of a plain class sets on its instance; a constant is what the field begins with."""
    made = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if made is None or not made.args.args:
        return
    own = made.args.args[0].arg
    for part in ast.walk(made):
        match part:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=of), attr=name)], value=value) if of == own:
                yield Field(name, "", _constant(value), ast.unparse(part))
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id=of), attr=name), annotation=kind) if of == own:
                yield Field(name, ast.unparse(kind), _constant(part.value), ast.unparse(part))
            case _:
                pass


def _constant(value: ast.expr | None) -> str | None:
    return ast.unparse(value) if value is not None and is_constant(value) else None


_EMPTY = frozenset({"dict", "list", "set", "tuple", "frozenset", "deque"})


def is_constant(value: ast.expr) -> bool:
    """Say whether an expression means the same wherever it stands: literals, and empty containers."""
    match value:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=operand):
            return is_constant(operand)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return all(map(is_constant, parts))
        case ast.Dict(keys=keys, values=values):
            return all(k is not None and is_constant(k) for k in keys) and all(map(is_constant, values))
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name in _EMPTY
        case _:
            return False
