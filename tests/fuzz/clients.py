"""Clients that a node does not deserve: what they send, and how they behave while they do not."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from relup.targets.python.wire import LIMIT, short_address
from tests.fuzz.mutations import altered, mutated
from tests.fuzz.seeds import YAML_WORDS, routes
from tests.support import PATIENCE

EXIT_CODES = {3, 4, 5, 6, 7}


@dataclass(slots=True)
class Asked:
    """What was asked of a node, and what was wrong with its answers."""

    requests: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    """How many answers of each kind: `result`, or the code of the first finding."""
    wrong: list[str] = field(default_factory=list)


@contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    """Connect to the control socket at *path*."""
    with _connected(path) as connection:
        yield connection


def _connected(path: Path) -> socket.socket:
    """Connect; a socket with a time-out does not wait for a place in the queue of a listener, so that is done here."""
    end = time.monotonic() + PATIENCE
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        try:
            with short_address(path) as address:
                connection.connect(address)
        except BlockingIOError:
            connection.close()
            if time.monotonic() > end:
                raise
        else:
            return connection


def asked(path: Path, requests: Sequence[bytes], done: Asked) -> None:
    """Send requests over one connection, all at once, and read an answer to each."""
    with connected(path) as connection:
        # sent in pieces that the node's buffer takes while it answers: nobody reads meanwhile
        for at in range(0, len(requests), 20):
            some = requests[at : at + 20]
            connection.sendall(b"".join(request + b"\n" for request in some))
            with connection.makefile("rb") as lines:
                for request in some:
                    _take(_answer(iter(lines.readline, b"")), request, done)


def _answer(lines: Iterator[bytes]) -> Any:
    """Return the next answer, behind the events of an upgrade."""
    return next((found for line in lines if "event" not in (found := json.loads(line))), None)


def _take(answer: Any, request: bytes, done: Asked) -> None:
    done.requests += 1
    match answer:
        case {"result": _}:
            kind = "result"
        case {"error": {"exit_code": int(code), "diagnostics": [{"code": str(kind)}, *_]}} if (
            code in EXIT_CODES and kind != "internal_error"
        ):
            pass
        case other:
            kind = "wrong"
            done.wrong.append(f"{request[:300]!r}: {json.dumps(other)[:500]}")
    done.answers[kind] = done.answers.get(kind, 0) + 1


def is_alive(path: Path) -> bool:
    """Say whether the node answers somebody who asks properly."""
    done = Asked()
    asked(path, [b'{"op":"status"}'], done)
    return done.answers == {"result": 1}


# ── what they send ───────────────────────────────────────────────────────────────────────────────────────────


def requests(chance: random.Random) -> Iterator[bytes]:
    """Yield lines without end: noise, requests that are wrong in a byte, and requests that are wrong in a part."""
    good, lines = _good(), good_requests()
    words = [*YAML_WORDS, b'"', b"{}", b"[]", b'"op":', b'"apply"', b'"status"', b"1e999", b"NaN", b'"\\ud800"']
    changed = mutated(lines, words, chance)
    while True:
        match chance.randrange(10):
            case 0:
                line = chance.randbytes(chance.randrange(1, 400))
            case 1 | 2 | 3 | 4:
                line = next(changed)
            case 5:
                line = chance.choice(lines)
            case _:
                line = json.dumps(altered(chance.choice(good), chance)).encode()
        line = line.replace(b"\n", b" ")
        if line.strip() and _harmless(line):
            yield line


def good_requests() -> list[bytes]:
    """Return requests that are formed as they should be; not all of them can be granted."""
    return [json.dumps(request).encode() for request in _good()]


def _good() -> list[dict[str, Any]]:
    from relup.document.route import route_to_data

    options = {"dry_run": True, "confirm": None, "allow_irreversible": False, "strict": False}
    plans = [route_to_data(route) for route in routes()]
    return [
        *({"op": op} for op in ("status", "releases", "history", "confirm")),
        *({"op": "evaluate", "source": s} for s in ("node.name", "1 + 1", "print('x')", "1 / 0", "x = (", "await y")),
        *({"op": "apply", "plan": plan, "options": options} for plan in plans),
        *({"op": "apply", "plan": plan, "options": options | {"confirm": 5.5}} for plan in plans),
    ]


def _harmless(line: bytes) -> bool:
    """Say whether a request is none that does what it should not do here: stop the node, or upgrade it."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return True
    match request:
        case {"op": "stop"}:
            return False
        case {"op": "apply", "options": {"dry_run": dry}}:
            return dry is not False
        case _:
            return True


# ── how they behave ──────────────────────────────────────────────────────────────────────────────────────────


def comes_and_goes(path: Path, _: random.Random) -> None:
    for _ in range(200):
        with connected(path):
            pass


def is_cut_off(path: Path, chance: random.Random) -> None:
    """Half a request, and then nobody is there; some go without a word, others reset the connection."""
    for line in islice(requests(chance), 50):
        with connected(path) as connection:
            connection.sendall(line[: chance.randrange(len(line))])
            if chance.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_half_open(path: Path, chance: random.Random) -> None:
    """Say no more, but listen: what was said is answered."""
    for line in islice(requests(chance), 20):
        with connected(path) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass


def is_slow(path: Path, _: random.Random) -> None:
    """Send byte after byte; others are served meanwhile."""
    with connected(path) as connection:
        for byte in b'{"op": "status"}':
            connection.sendall(bytes([byte]))
            assert is_alive(path)
        connection.sendall(b"\n")
        assert connection.recv(10)


def does_not_read(path: Path, _: random.Random) -> None:
    """Ask and ask, and take no answer."""
    with connected(path) as connection:
        connection.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(100_000):
                connection.send(b'{"op": "status"}\n')
        assert is_alive(path)


def never_ends(path: Path, _: random.Random) -> None:
    """Send a line that is longer than any, several at once."""
    with suppress(OSError), connected(path) as connection:
        for _ in range(2 * LIMIT >> 20):
            connection.sendall(b"x" * (1 << 20))


def holds_much(path: Path, _: random.Random) -> None:
    """Ten clients with half of a long request each."""
    held = []
    for _ in range(10):
        connection = _connected(path)
        held.append(connection)
        with suppress(OSError):
            for _ in range(LIMIT * 3 // 4 >> 20):
                connection.sendall(b'"' + b"x" * ((1 << 20) - 1))
    assert is_alive(path)
    for connection in held:
        connection.close()


def is_full_of_nothing(path: Path, _: random.Random) -> None:
    """Values that take more memory than their text: lists in a list, deep lists, long numbers."""
    wide = b"[" + b"[]," * (LIMIT // 4) + b"[]]\n"
    for line in (wide, b"[" * 1_000_000 + b"\n", b"9" * 1_000_000 + b"\n", b'{"op": "' + b"x" * 5_000_000 + b'"}\n'):
        with connected(path) as connection:
            connection.sendall(line)
            assert b"bad_request" in connection.recv(1 << 16)


def come_in_crowds(path: Path, _: random.Random) -> None:
    """Three hundred at once who say nothing; who asks properly is heard."""
    crowd = []
    for _ in range(300):
        connection = _connected(path)
        crowd.append(connection)
    assert is_alive(path)
    for connection in crowd:
        connection.close()


BEHAVIOURS: Sequence[Callable[[Path, random.Random], None]] = (
    *(comes_and_goes, is_cut_off, is_half_open, is_slow, does_not_read, never_ends, holds_much, is_full_of_nothing),
    come_in_crowds,
)
