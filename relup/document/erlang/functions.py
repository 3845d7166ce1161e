"""The functions of a `.beam` file, one by one: which of them differ between two versions, and what each of them names.

Whether the state of a process changed is written nowhere in a module, but it leaves its traces in the code: what `init`
does, the sizes of records, the keys of maps. Debug information would tell more, and is not there in most releases;
instructions always are. They are not interpreted: names are put in the place of the tables' numbers, because those
change with every edit, and what does not count (lines, types, the numbers of labels) is left out.

The instructions of a later OTP may not be known. Their sizes are written nowhere, so such a module is not read at all,
and neither is one whose instructions do not end exactly where the module ends: no answer is better than a wrong one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic
from relup.document.erlang.beam import atoms_of, rows
from relup.document.erlang.chunks import LIMIT, Chunks, Damaged, read_chunks
from relup.document.erlang.external import decode
from relup.document.erlang.operands import LITERAL, A, Args, F, Operand, X, instructions
from relup.document.erlang.terms import Atom, List, Map, Term, Tuple
from relup.model.functions import Function, Functions, Name

_LABEL, _FUNC_INFO, _RETURN, _TEST_HEAP, _PUT_TUPLE, _TAGGED = 1, 2, 19, 16, 164, 159
_UNSAID = frozenset({_LABEL, _FUNC_INFO, 153, 183, 184})
"""Labels, heads, and lines: in what order they are numbered, and where the text stands, makes no difference."""
_IMPORTED: Mapping[int, int] = {7: 1, 8: 1, 78: 1, 9: 0, 10: 1, 11: 1, 124: 2, 125: 2, 152: 2}
"""Which operand of an instruction is a function of another module."""
_FUNS = frozenset({103, 171})
_KEYS: Mapping[int, tuple[int, int]] = {154: (4, 2), 155: (4, 2), 157: (2, 1), 158: (2, 2)}
"""Which operand has the keys of a map, and each how manieth of its items is one."""
_PUT_STRING, _MATCH_STRING, _CREATE_BINARY = 92, 132, 177

_Instruction: TypeAlias = tuple[int, Args]


def read_functions(path: Path) -> Functions | None:
    """Return the functions of the module at *path*; None when they cannot be told apart."""
    chunks = read_chunks(path)
    if isinstance(chunks, Diagnostic):
        return None
    try:
        return _functions(_tables(chunks), chunks[b"Code"])
    except (Damaged, IndexError, KeyError, ValueError, zlib.error):
        return None


@dataclass(slots=True)
class _Tables:
    """What the instructions refer to by number."""

    atoms: Sequence[str]
    imports: Sequence[tuple[str, str, int]]
    funs: Sequence[Name]
    literals: Sequence[bytes]
    strings: bytes
    entries: dict[int, Name] = field(default_factory=dict)
    """The functions, by the labels where they begin."""
    terms: dict[int, Term] = field(default_factory=dict)


def _tables(chunks: Chunks) -> _Tables:
    atoms = ["", *atoms_of(chunks)]
    imports = [(atoms[m], atoms[f], arity) for m, f, arity in rows(chunks[b"ImpT"])]
    table = chunks.get(b"FunT", bytes(4))
    funs = [(atoms[_word(table, at)], _word(table, at + 4)) for at in range(4, 4 + 24 * _word(table, 0), 24)]
    return _Tables(atoms, imports, funs, list(_literals(chunks.get(b"LitT", b""))), chunks[b"StrT"])


def _word(table: bytes, at: int) -> int:
    if at + 4 > len(table):
        raise IndexError
    return int.from_bytes(table[at : at + 4])


def _literals(chunk: bytes) -> Iterator[bytes]:
    """Yield the constants as they are written; the table is compressed, from OTP 28 on it is not."""
    size, table = int.from_bytes(chunk[:4]), chunk[4:]
    if size > LIMIT:
        raise ValueError(size)
    table = zlib.decompressobj().decompress(table, size) if size else table
    at = 4
    for _ in range(_word(table, 0) if chunk else 0):
        end = at + 4 + _word(table, at)
        if end > len(table):
            raise IndexError
        yield table[at + 4 : end]
        at = end


def _functions(tables: _Tables, code: bytes) -> Functions:
    """Return all functions; raise `ValueError` when there are others than the module says."""
    found: list[tuple[Name, list[_Instruction]]] = []
    expected = False
    for op, args in instructions(code):
        if op == _FUNC_INFO:
            _, name, arity = args
            found.append(((tables.atoms[_number(name)], _number(arity)), []))
            expected = True
        elif op == _LABEL and expected:
            tables.entries[_number(args[0])] = found[-1][0]
            expected = False
        elif found and op not in _UNSAID:
            found[-1][1].append((op, args))
    if len(found) != _word(code, 16):
        raise ValueError(len(found))
    return {name: _function(tables, body) for name, body in found}


def _number(operand: Operand) -> int:
    if not isinstance(operand, int):
        raise ValueError(operand)
    return operand >> 3


@dataclass(slots=True)
class _Seen:
    """What was met so far in one function."""

    calls: dict[Name, None] = field(default_factory=dict)
    remote: dict[tuple[str, str, int], None] = field(default_factory=dict)
    atoms: set[str] = field(default_factory=set)
    records: set[tuple[str, int]] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    structs: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    labels: dict[int, int] = field(default_factory=dict)


def _function(tables: _Tables, body: Sequence[_Instruction]) -> Function:
    seen = _Seen()
    digest = hashlib.blake2b(digest_size=16)
    for op, args in body:
        said = _special(tables, seen, op, args) or _said(tables, seen, args)
        digest.update(f"{op} {said}\n".encode(errors="surrogatepass"))
    return Function(
        digest=digest.hexdigest(),
        calls=tuple(seen.calls),
        remote=tuple(seen.remote),
        atoms=frozenset(seen.atoms),
        records=frozenset(seen.records),
        keys=frozenset(seen.keys),
        structs=frozenset(seen.structs),
        untouched=_untouched(tables, body),
    )


def _special(tables: _Tables, seen: _Seen, op: int, args: Args) -> str:
    """Return operands that mean something else than they say, as text; notice what others are about."""
    if op in _IMPORTED:
        at = _IMPORTED[op]
        called = tables.imports[_number(args[at])]
        seen.remote[called] = None
        return f"{_said(tables, seen, args[:at])} {called} {_said(tables, seen, args[at + 1 :])}"
    if op in _FUNS:
        made = tables.funs[_number(args[0])]
        seen.calls[made] = None
        return f"{made} {_said(tables, seen, args[1:])}"
    if op in _KEYS:
        at, step = _KEYS[op]
        items = args[at]
        keys = items[::step] if isinstance(items, tuple) else ()
        seen.keys.update(tables.atoms[k >> 3] for k in keys if isinstance(k, int) and k & 7 == A)
    elif op == _PUT_TUPLE and isinstance(args[1], tuple):
        _tagged(tables, seen, args[1][:1], len(args[1]))
    elif op == _TAGGED:
        _tagged(tables, seen, args[3:], _number(args[2]))
    elif op == _PUT_STRING:
        return _string(tables, _number(args[0]), _number(args[1]))
    elif op == _MATCH_STRING:
        text = _string(tables, (_number(args[2]) + 7) // 8, _number(args[3]))
        return f"{_said(tables, seen, args[:3])} {text}"
    elif op == _CREATE_BINARY and isinstance(args[5], tuple):
        return f"{_said(tables, seen, args[:5])} {' '.join(_segments(tables, seen, args[5]))}"
    return ""


def _tagged(tables: _Tables, seen: _Seen, tag: Args, size: int) -> None:
    if tag and isinstance(tag[0], int) and tag[0] & 7 == A and tag[0] >> 3:
        seen.records.add((tables.atoms[tag[0] >> 3], size - 1))


def _string(tables: _Tables, size: int, at: int) -> str:
    return tables.strings[at : at + size].hex()


def _segments(tables: _Tables, seen: _Seen, items: Args) -> Iterator[str]:
    """Yield the parts of a binary, of six operands each; those that are constant text are in a table of their own."""
    for n in range(0, len(items), 6):
        kind, _, _, _, value, size = items[n : n + 6]
        if isinstance(kind, int) and kind & 7 == A and tables.atoms[kind >> 3] == "string":
            yield _string(tables, _number(size), _number(value))
        else:
            yield _said(tables, seen, items[n : n + 6])


def _said(tables: _Tables, seen: _Seen, args: Args) -> str:
    """Return operands as text in which there is no number of a table."""
    parts = []
    for arg in args:
        if not isinstance(arg, int):
            parts.append(arg if isinstance(arg, str) else f"({_said(tables, seen, arg)})")
            continue
        match arg & 7:
            case code if code == A:
                seen.atoms.add(name := tables.atoms[arg >> 3])
                parts.append(f"'{name}'")
            case code if code == F:
                parts.append(_label(tables, seen, arg >> 3))
            case code if code == LITERAL:
                parts.append(tables.literals[arg >> 3].hex())
                _constant(tables, seen, arg >> 3)
            case _:
                parts.append(str(arg))
    return " ".join(parts)


def _label(tables: _Tables, seen: _Seen, label: int) -> str:
    if label in tables.entries:
        seen.calls[tables.entries[label]] = None
        return str(tables.entries[label])
    return f"L{seen.labels.setdefault(label, len(seen.labels)) if label else ''}"


def _constant(tables: _Tables, seen: _Seen, index: int) -> None:
    """Notice what a constant has in it."""
    if index not in tables.terms:
        tables.terms[index] = decode(tables.literals[index])
    pending = [tables.terms[index]]
    while pending:
        match pending.pop():
            case Atom(name):
                seen.atoms.add(name)
            case List(items, tail):
                pending += [*items, *([] if tail is None else [tail])]
            case Tuple(items):
                pending += items
                if items and isinstance(items[0], Atom):
                    seen.records.add((items[0].name, len(items) - 1))
            case Map(pairs):
                pending += [part for pair in pairs for part in pair]
                keys = frozenset(key.name for key, _ in pairs if isinstance(key, Atom))
                struct = next((v.name for k, v in pairs if k == Atom("__struct__") and isinstance(v, Atom)), None)
                if struct:
                    seen.structs.add((struct, keys - {"__struct__"}))
                else:
                    seen.keys.update(keys)
            case _:
                pass


def _untouched(tables: _Tables, body: Sequence[_Instruction]) -> bool:
    """Say whether a body is `{ok, State}` or `{ok, State, Data}`; of a special process the state comes first."""
    match [(op, args) for op, args in body if op != _TEST_HEAP]:
        case [(code, (X.ZERO, (int(ok), *rest))), (last, _)] if code == _PUT_TUPLE and last == _RETURN:
            return ok & 7 == A and tables.atoms[ok >> 3] == "ok" and rest in ([X.ONE], [X.ONE, X.TWO], [X.ZERO])
        case _:
            return False
