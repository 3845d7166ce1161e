"""The doors of relup: each reads bytes that somebody gave, as a file or over a pipe.

Files are written, because a door takes a path: what looks at sizes, names and codings is part of it. Binary formats
come twice: as they are, where most changes end at the first check, and as the contents of a part of a file that is
good otherwise, so that what lies behind is reached.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relup.document import read_appup, read_document, read_release, read_relup
from relup.document.erlang.app import only_term, read_application
from relup.document.erlang.appup import read_erlang_appup
from relup.document.erlang.beam import read_beam
from relup.document.erlang.chunks import Damaged
from relup.document.erlang.conversion import export_appup, import_appup
from relup.document.erlang.external import decode as decode_external
from relup.document.erlang.fingerprint import fingerprint
from relup.document.erlang.functions import read_functions
from relup.document.erlang.otp_relup import read_otp_relup
from relup.document.route import read_route, route_from_data, route_to_data
from relup.document.yaml_reader import read_yaml
from relup.model.appup import Appup
from relup.planner.lint import check_appup
from relup.targets.beam import etf
from relup.targets.beam.terms import Atom
from relup.targets.python.wire import decode as decode_line
from tests.document.erlang.modules import beam, chunks_of
from tests.document.erlang.releases import CORE_LINES, app, build, rel, shop
from tests.fuzz.seeds import (
    APPUPS,
    ERLANG_APPUPS,
    ERLANG_WORDS,
    EXTERNAL_WORDS,
    OTP_RELUPS,
    RELEASES,
    YAML_WORDS,
    agent,
    plans,
    routes,
    terms,
)
from tests.fuzz.trial import Reader
from tests.wheels import distribution, wheel_name, write_zip

CHUNKS = ("AtU8", "Code", "StrT", "ImpT", "ExpT", "FunT", "LitT", "Attr", "Meta")
MEMBERS = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")


@dataclass(frozen=True, slots=True)
class _Scratch:
    """A folder for the files of one process."""

    folder: Path

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


def readers(folder: Path | None = None) -> dict[str, Reader]:
    """Return every reader by its name; files are written below *folder*, in memory where the system has a place."""
    memory = Path("/dev/shm")
    root = folder or Path(tempfile.mkdtemp(prefix="relup-fuzz-", dir=memory if memory.is_dir() else None))
    scratch = _Scratch(root)
    every = [*_yaml(scratch), *_erlang(scratch), *_binary(scratch), *_archives(scratch)]
    return {reader.name: reader for reader in every}


# ── YAML and JSON ────────────────────────────────────────────────────────────────────────────────────────────


def _yaml(scratch: _Scratch) -> list[Reader]:
    folder = build(scratch.folder / "release", {"shop/__init__.py": "", "shop/app.py": "", "shop/cart.py": ""})
    two = [p.encode() for p in plans()]

    def release(data: bytes) -> object:
        (folder / "release.yaml").write_bytes(data)
        return read_release(folder)

    def draft(data: bytes) -> object:
        """Read an appup as `relup check` does, which looks at its patterns and asks for what is to be answered."""
        match read_document(scratch.file("d.appup.yaml", data)):
            case Appup() as appup:
                return list(check_appup(appup))
            case other:
                return other

    def exported(data: bytes) -> object:
        return export_appup(scratch.file("e.appup.yaml", data))

    appups, releases, planned = _said(APPUPS), _said(RELEASES), [json.loads(r) for r in _routes()]
    wire = [*YAML_WORDS, b'"', b'":', b"{}", b"[]", b"\\ud800", b"1e999"]
    return [
        Reader("appup", lambda d: read_appup(scratch.file("a.appup.yaml", d)), APPUPS, YAML_WORDS, appups),
        Reader("draft", draft, APPUPS, YAML_WORDS, appups),
        Reader("appup-to-erlang", exported, APPUPS, YAML_WORDS, appups),
        Reader("release", release, RELEASES, YAML_WORDS, releases),
        Reader("plan", lambda d: read_relup(scratch.file("plan.yaml", d)), two, YAML_WORDS, planned),
        Reader("route", lambda d: read_route(scratch.file("r.yaml", d)), [*two, *_routes()], YAML_WORDS, planned),
        Reader("document", lambda d: read_document(scratch.file("x", d)), [*APPUPS, *two, *OTP_RELUPS], YAML_WORDS),
        Reader("plan-on-wire", _on_wire, _routes(), wire, planned),
    ]


def _said(texts: Sequence[bytes]) -> list[Any]:
    return [json.loads(json.dumps(read_yaml(text.decode(), "").data)) for text in texts]


def _routes() -> list[bytes]:
    return [json.dumps(route_to_data(route)).encode() for route in routes()]


def _on_wire(data: bytes) -> object:
    try:
        found = decode_line(data)
    except (ValueError, RecursionError):
        return None  # the node says so itself
    route = route_from_data(found)
    return json.dumps(route_to_data(route))


# ── Erlang's text ────────────────────────────────────────────────────────────────────────────────────────────


def _erlang(scratch: _Scratch) -> list[Reader]:
    apps = [app("shop", "1", "[shop_app]", rest=", {env, [{a, <<1:3, 0:5>>}]}").encode(), app("x", "2").encode()]
    rels = [rel(*CORE_LINES).encode(), rel(*CORE_LINES, '{shop,"1",permanent,[kernel]}').encode()]
    folder = build(scratch.folder / "otp", shop())
    shop_rel = folder / "releases" / "1" / "shop.rel"
    config = [b'[{kernel, [{a, 1}, {b, "x"}]}, "more.config"].\n', *terms()]

    def release(data: bytes) -> object:
        shop_rel.write_bytes(data)
        return read_release(folder)

    def appup(data: bytes) -> object:
        return read_erlang_appup(scratch.file("shop.appup", data), "2")

    def imported(data: bytes) -> object:
        return import_appup(scratch.file("shop.appup.src", data), None)

    return [
        Reader("erlang-appup", appup, ERLANG_APPUPS, ERLANG_WORDS),
        Reader("erlang-to-yaml", imported, ERLANG_APPUPS, ERLANG_WORDS),
        Reader("app", lambda d: read_application(scratch.file("shop.app", d)), apps, ERLANG_WORDS),
        Reader("rel", release, rels, ERLANG_WORDS),
        Reader("otp-relup", lambda d: read_otp_relup(scratch.file("relup", d)), OTP_RELUPS, ERLANG_WORDS),
        Reader("sys.config", lambda d: only_term(scratch.file("sys.config", d)), config, ERLANG_WORDS),
    ]


# ── what is no text ──────────────────────────────────────────────────────────────────────────────────────────


def _binary(scratch: _Scratch) -> list[Reader]:
    whole = agent()
    parts = {k: v for k, v in chunks_of(whole).items() if k in CHUNKS or k == "Atom"}
    small = beam(parts)
    part_seeds = [bytes([n]) + parts[c][:4000] for n, c in enumerate(CHUNKS) if c in parts]

    def chunk(data: bytes) -> object:
        name = CHUNKS[data[0] % len(CHUNKS)] if data else CHUNKS[0]
        return _module(scratch.file("m.beam", beam(parts | {name: data[1:]})))

    return [
        Reader("external", _external, EXTERNAL_SEEDS, EXTERNAL_WORDS),
        Reader("etf", _etf, EXTERNAL_SEEDS, EXTERNAL_WORDS),
        Reader("beam", lambda d: _module(scratch.file("b.beam", d)), [small[:60_000]], [b"FOR1", b"BEAM", *_names()]),
        Reader("beam-chunk", chunk, part_seeds, EXTERNAL_WORDS),
    ]


def _names() -> list[bytes]:
    return [c.encode() for c in CHUNKS]


EXTERNAL_SEEDS: Sequence[bytes] = [
    etf.encode(t)
    for t in (
        [Atom("a"), 1, -5, 2**80, 1.5, b"bits", b"x" * 300],
        (Atom("ok"), {Atom("k"): [1, 2, 300], b"x": (1, 2)}),
        [(Atom("vsn"), [1]), (Atom("behaviour"), [Atom("gen_server")])],
        {1: {2: {3: []}}},
    )
] + [
    b"\x83P\x00\x00\x00\x06" + bytes.fromhex("789c6be0616060604a646400000a8c0158"),
    b"\x83X" + b"w\x01a" + bytes(12),
    b"\x83Z\x00\x02w\x01a" + bytes(12),
    b"\x83M\x00\x00\x00\x01\x03\xe0",
    b"\x83p\x00\x00\x00\x50" + bytes(80),
    b"\x83q" + b"w\x01m" + b"w\x01f" + b"a\x01",
]


def _external(data: bytes) -> object:
    try:
        return decode_external(data)
    except Damaged as error:
        return str(error)


def _etf(data: bytes) -> object:
    """Decode, and encode what was found: that has to be the same term again."""
    try:
        term = etf.decode(data)
    except etf.BadTerm as error:
        return str(error)
    again = etf.decode(etf.encode(term))
    assert again == term, "another term comes back"
    return again


def _module(path: Path) -> object:
    return read_beam(path), fingerprint(path), read_functions(path)


# ── archives, and what lies in them ──────────────────────────────────────────────────────────────────────────


def _archives(scratch: _Scratch) -> list[Reader]:
    """Wheels are refused more often than unpacked; what one unpacks to is one folder for all."""
    name, info = wheel_name("one", "1"), "one-1.dist-info"
    good = distribution("one", "1", {"one/__init__.py": "", "one/a.py": "x = 1\n"}, start="one:App", requires=["two>1"])
    whole = write_zip(scratch.folder / "seeds" / name, good.items()).read_bytes()
    installed = scratch.folder / "installed"
    for member, contents in good.items():
        (installed / member).parent.mkdir(parents=True, exist_ok=True)
        (installed / member).write_bytes(contents)
    members = [bytes([n]) + good[f"{info}/{m}"] for n, m in enumerate(MEMBERS)]
    project = scratch.folder / "project"
    build(project, {"shop/__init__.py": '__version__ = "1"\n', "shop/app.py": ""})
    tomls = [
        b'[project]\nname="shop"\nversion="1"\n[project.entry-points."relup.application"]\nmain="shop.app:Shop"\n',
        b'[project]\nname = "shop"\ndynamic = ["version"]\n[tool.setuptools.packages.find]\nwhere = ["src"]\n',
    ]

    def wheel(data: bytes) -> object:
        return read_document(scratch.file(name, data), unpack=scratch.folder / "unpacked")

    def member(data: bytes) -> object:
        """Read a folder as pip leaves it, one of whose files is the input."""
        which = f"{info}/{MEMBERS[data[0] % len(MEMBERS)]}" if data else f"{info}/RECORD"
        (installed / which).write_bytes(data[1:])
        try:
            return read_release(installed)
        finally:
            (installed / which).write_bytes(good[which])

    def toml(data: bytes) -> object:
        (project / "pyproject.toml").write_bytes(data)
        return read_release(project)

    words = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"../", b"/", b"\0", b"\xff\xff\xff\xff", b",sha256=", b"\n"]
    return [
        Reader("wheel", wheel, [whole], words),
        Reader("dist-info", member, members, [*words, b"Name: ", b"Version: ", b"Requires-Dist: ", b";", b"[", b"="]),
        Reader("pyproject", toml, tomls, [b"[", b"]", b"=", b'"', b"'''", b"\n", b"[[a]]", b"{", b"}", b"1979-05-27"]),
    ]
