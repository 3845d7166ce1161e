"""The instructions in a module's code, cut into operations and operands.

An operation is a byte; how many operands it has is known for each. An operand is a number and a kind, in one byte
when the number is small. Numbers stay joined with their kinds here (`number << 3 | kind`): most are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TypeAlias, Union

Operand: TypeAlias = Union[int, str, "tuple[Operand, ...]"]
"""A number and its kind, a register of floats as text, or a list."""
Args: TypeAlias = tuple[Operand, ...]

U, A, F, LITERAL = 0, 2, 5, 7
"""Kinds: a number that is not a value, an atom, a label, a constant."""


class X(IntEnum):
    """The registers that hold a function's first arguments, as operands."""

    ZERO = 3
    ONE = 11
    TWO = 19


_EXTENDED = 7
_ARITIES = (
    0,  # no operation has the number 0
    *map(
        int,
        "13023223245232321100002112444444444443333333222222222222233312123333321101132225554211225552"
        "10122444431211126351223577753225622221340862654545433333011715523340022234322431211163015324",
    ),
)
_END = 3


def instructions(code: bytes) -> Iterator[tuple[int, Args]]:
    """Yield the operations of a chunk of code; raise `ValueError` or `IndexError` when it is not made of known ones."""
    at = 4 + int.from_bytes(code[:4])
    end = len(code)
    while at < end:
        op = code[at]
        at += 1
        args = []
        for _ in range(_ARITIES[op]):
            first = code[at]
            if first & 8 or first & 7 == _EXTENDED:
                arg, at = _operand(code, at)
                args.append(arg)
            else:
                args.append(first >> 4 << 3 | first & 7)
                at += 1
        if op == _END:
            break
        yield op, tuple(args)
    if at != end:
        raise ValueError(at)


def _operand(code: bytes, at: int) -> tuple[Operand, int]:
    first = code[at]
    if first & 7 != _EXTENDED:
        number, at = _value(code, at)
        return number << 3 | first & 7, at
    match first >> 4:
        case 1:
            return _list(code, at + 1)
        case 2:
            number, at = _value(code, at + 1)
            return f"fr{number}", at
        case 3:
            return _allocation(code, at + 1)
        case 4:
            number, at = _value(code, at + 1)
            return number << 3 | LITERAL, at
        case 5:
            register, at = _operand(code, at + 1)
            _, at = _value(code, at)
            return register, at
        case kind:
            raise ValueError(kind)


def _value(code: bytes, at: int) -> tuple[int, int]:
    """Return a number: of four bits, of eleven bits, or of as many bytes as it says."""
    first = code[at]
    if not first & 0b1000:
        return first >> 4, at + 1
    if not first & 0b10000:
        return first >> 5 << 8 | code[at + 1], at + 2
    size, start = first >> 5, at + 1
    if size == 7:
        size, start = _value(code, start)
        size += 7
    stop = start + size + 2
    if stop > len(code):
        raise IndexError
    return int.from_bytes(code[start:stop], signed=True), stop


def _list(code: bytes, at: int) -> tuple[Operand, int]:
    count, at = _value(code, at)
    if count > len(code):
        raise IndexError
    items = []
    for _ in range(count):
        item, at = _operand(code, at)
        items.append(item)
    return tuple(items), at


def _allocation(code: bytes, at: int) -> tuple[Operand, int]:
    """Return how much room is made for words, floats and funs: pairs of numbers."""
    count, at = _value(code, at)
    if count > len(code):
        raise IndexError
    numbers = []
    for _ in range(2 * count):
        number, at = _value(code, at)
        numbers.append(number << 3)
    return tuple(numbers), at
