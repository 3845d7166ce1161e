"""Bad inputs made of good ones: bytes changed, parts doubled, cut out, put elsewhere, taken from another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

LONGEST = 1 << 16
"""Bytes of one input; what is larger on purpose is among the bombs."""
Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(
    seeds: Sequence[bytes], words: Sequence[bytes], chance: Random, parsed: Sequence[Any] = ()
) -> Iterator[bytes]:
    """Yield inputs without end: a seed after a few changes, or as JSON what a seed says, with parts of it changed."""
    while True:
        if parsed and chance.random() < 0.5:
            found = chance.choice(parsed)
            for _ in range(1 + int(chance.expovariate(1))):
                found = altered(found, chance)
            yield json.dumps(found, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")[:LONGEST]
            continue
        data = bytearray(chance.choice(seeds))
        for _ in range(1 + int(chance.expovariate(0.5))):
            chance.choice(CHANGES)(data, chance, words or seeds)
            if chance.random() < 0.1:
                _spliced(data, chance, seeds)
        yield bytes(data[:LONGEST])


def _flipped(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replaced(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))


def _removed(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    at, size = _part(data, chance)
    del data[at : at + size]


def _doubled(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    at, size = _part(data, chance)
    data[at:at] = data[at : at + size] * chance.choice((1, 1, 1, 2, 50))


def _moved(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    at, size = _part(data, chance)
    part = data[at : at + size]
    del data[at : at + size]
    to = chance.randint(0, len(data))
    data[to:to] = part


def _worded(data: bytearray, chance: Random, words: Sequence[bytes]) -> None:
    at, size = _part(data, chance)
    data[at : at + chance.choice((0, 0, size))] = chance.choice(words)


def _line_moved(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    """Move, double or drop a line, or indent it otherwise: the structure of YAML is its lines."""
    lines = bytes(data).split(b"\n")
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            line = lines.pop(at)
            lines.insert(chance.randint(0, len(lines)), line)
        case 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 2:
            lines[at] = b" " * chance.randrange(12) + lines[at].lstrip()
        case _:
            del lines[at]
    data[:] = b"\n".join(lines)


def _numbered(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    """Write a size into the bytes, as binary formats have them."""
    size = chance.choice((1, 2, 4, 4, 8))
    value = chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), chance.getrandbits(16)))
    at = chance.randint(0, len(data))
    data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size)


def _cut(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _nested(data: bytearray, chance: Random, words: Sequence[bytes]) -> None:
    opening = chance.choice([w for w in words if len(w) <= 4] or [b"["])
    at = chance.randint(0, len(data))
    data[at:at] = opening * chance.choice((2, 30, 300))


def _spliced(data: bytearray, chance: Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def _part(data: bytearray, chance: Random) -> tuple[int, int]:
    at = chance.randint(0, len(data))
    return at, min(len(data) - at, int(chance.expovariate(1 / 12)))


CHANGES: tuple[Change, ...] = (
    *(_flipped, _replaced, _removed, _doubled, _moved, _worded, _worded, _worded),
    *(_line_moved, _line_moved, _numbered, _cut, _nested),
)


# ── structure ────────────────────────────────────────────────────────────────────────────────────────────────


def altered(data: Any, chance: Random) -> Any:
    """Return a copy of *data* with one part of it gone, doubled, put elsewhere or of another type."""
    copy = json.loads(json.dumps(data))
    places = [*_places(copy)]
    if not places:
        return chance.choice(ODD)
    holder, key = chance.choice(places)
    others = [h[k] for h, k in places]
    match chance.randrange(5):
        case 0:
            del holder[key]
        case 1:
            holder[key] = json.loads(json.dumps(chance.choice(others)))
        case 2:
            holder[key] = [holder[key]] * chance.choice((1, 2, 40))
        case 3:
            holder[key] = {"x": holder[key], "op": "status"}
        case _:
            holder[key] = chance.choice(ODD)
    return copy


ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, 2**70, float("nan"), float("inf"), "", "x", "\ud800", "\0", "a" * 3000, [], {}),
    *("/", "../..", "/dev/zero", "/" + "x" * 300, "/x\0y", "/proc/self/mem", "shop", "1", "down", "sys", "os.system"),
    *([[[[]]]], {"": {}}, ["up"]),
)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    found = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(found):
        yield data, key
        yield from _places(value)
