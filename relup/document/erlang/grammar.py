"""From text to terms: the grammar, and what each of its rules makes.

The parser is built once in a process, when the first file is read, and keeps nothing of what it reads: what a
rule makes depends on its tokens alone. What is wrong with a literal therefore stands among the terms, as a
`Flaw`, and is found with all others when the parsing is done; so does a `Variable`, which a template may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from lark import Lark, Token, Transformer

from relup.document.erlang.binaries import Segment, binary
from relup.document.erlang.flaws import Flaw, Read, Variable, program
from relup.document.erlang.literals import atom, character, integer, real, unescaped
from relup.document.erlang.terms import MOST_ARGUMENTS, RESERVED, Fun, List, Map, Number, String, Tuple
from relup.document.piece import Spot


@dataclass(frozen=True, slots=True)
class _Tail:
    """What stands after the bar of a list."""

    term: Any


_Parts: TypeAlias = list[Any]


@cache
def parser() -> Lark:
    """Return the parser of Erlang terms."""
    return Lark.open_from_package(
        __package__,
        "terms.lark",
        parser="lalr",
        lexer="basic",
        maybe_placeholders=False,
        transformer=_Terms(),
        lexer_callbacks={"ATOM": _word},
    )


def _word(token: Token) -> Token:
    if token in RESERVED:
        token.type = "FUN" if token == "fun" else "RESERVED"
    return token


def _spot(token: Token, inside: int = 0) -> Spot:
    return (token.line or 1, (token.column or 1) + inside)


class _Terms(Transformer[Token, Any]):
    """One method for each rule of the grammar, which takes the rule's parts."""

    def start(self, terms: _Parts) -> tuple[Read, ...]:
        return tuple(terms)

    def atom(self, parts: _Parts) -> Read:
        token = parts[0]
        name = token.value if token.type == "ATOM" else unescaped(token[1:-1], _spot(token, 1))
        return name if isinstance(name, Flaw) else atom(name, _spot(token))

    def number(self, parts: _Parts) -> Read:
        token = parts[0]
        match token.type:
            case "INTEGER":
                return integer(token.value, _spot(token))
            case "FLOAT":
                return real(token.value, _spot(token))
            case _:
                return character(token[1:], _spot(token, 1))

    def signed(self, parts: _Parts) -> Read:
        sign, number = parts
        if isinstance(number, Flaw):
            return number
        return Number(-number.value if sign == "-" else number.value, spot=_spot(sign))

    def string(self, tokens: _Parts) -> Read:
        texts = [unescaped(t[1:-1], _spot(t, 1)) for t in tokens]
        flaws = [t for t in texts if isinstance(t, Flaw)]
        return flaws[0] if flaws else String("".join(texts), spot=_spot(tokens[0]))  # type: ignore[arg-type]

    def variable(self, parts: _Parts) -> Read:
        return Variable(parts[0].value, _spot(parts[0]))

    def function(self, parts: _Parts) -> Read:
        word, module, _, name, _, token = parts
        arity = integer(token.value, _spot(token))
        for part in (module, name, arity):
            if isinstance(part, Flaw):
                return part
        if _whole(arity) > MOST_ARGUMENTS:
            return Flaw("bad_term", f"a function takes at most {MOST_ARGUMENTS} arguments", _spot(token))
        return Fun(module.name, name.name, _whole(arity), spot=_spot(word))

    def tuple_term(self, parts: _Parts) -> Read:
        return Tuple(tuple(parts[1:]), spot=_spot(parts[0]))

    def list_term(self, parts: _Parts) -> Read:
        bracket, *items = parts
        match items:
            case [*items, _Tail(List(more, tail))]:
                return List((*items, *more), tail, spot=_spot(bracket))
            case [*items, _Tail(String(text))]:
                return List((*items, *(Number(ord(c)) for c in text)), spot=_spot(bracket))
            case [*items, _Tail(tail)]:
                return List(tuple(items), tail, spot=_spot(bracket))
            case _:
                return List(tuple(items), spot=_spot(bracket))

    def tail(self, parts: _Parts) -> _Tail:
        return _Tail(parts[1])

    def map_term(self, parts: _Parts) -> Read:
        last = {repr(key): (key, value) for key, value in parts[1:]}
        return Map(tuple(last.values()), spot=_spot(parts[0]))

    def pair(self, parts: _Parts) -> tuple[Read, Read]:
        return parts[0], parts[2]

    def binary_term(self, parts: _Parts) -> Read:
        return binary(parts[1:], _spot(parts[0]))

    def segment(self, parts: _Parts) -> Segment:
        value, *rest = parts
        if isinstance(value, Variable):
            value = program(f"the variable {value.name}", value.spot)
        size = next((part for part in rest if isinstance(part, int)), None)
        return Segment(value, size, next((part for part in rest if isinstance(part, list)), []))

    def size(self, parts: _Parts) -> int:
        return _whole(parts[1])

    def types(self, parts: _Parts) -> list[tuple[str, int | None]]:
        return [p for p in parts if isinstance(p, tuple)]

    def type(self, parts: _Parts) -> tuple[str, int | None]:
        return parts[0].value, _whole(integer(parts[2].value, _spot(parts[2]))) if len(parts) > 1 else None


def _whole(size: Read) -> int:
    """Return a size, or one that nothing fits."""
    return size.value if isinstance(size, Number) and isinstance(size.value, int) else -1
