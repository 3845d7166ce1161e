"""Good documents of every kind, small, with as many of the forms as there are; and the words they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from relup.cli.demo import examples
from relup.document import read_release, write_relup
from relup.model.route import Route
from relup.planner import plan
from tests.document.erlang.oddities import TEXTS

_ROOT = Path(__file__).parent.parent.parent

APPUPS = [
    b"""\
application: shop
vsn: "2"
up:
  - from: {regex: '1\\.[0-9]+'}
    instructions:
      - update:
          module: shop.cart
          change: {advanced: {bonus: 1000, map: [[1, a]], tuple: [x, 1.5]}}
          depends: [shop.price]
          timeout: infinity
          pre_purge: soft_purge
          post_purge: soft_purge
          mod_type: static
          keep: [SESSIONS]
          instances: {Cart: upgrade_cart}
      - load_module: shop.price
      - add_module: {module: shop.new, depends: [shop.price]}
      - delete_module: shop.old
      - add_application: {application: mail, type: temporary}
      - restart_application: log
      - apply: {module: a, function: b, args: [1, "x", null], undo: {module: a, function: c, args: []}, window: cuts}
down:
  - to: '1.1'
    instructions: inverse
""",
    b"""\
# TODO: say what becomes of the state
application: shop
vsn: 1.10
up:
  - from: "1"
    instructions:
      - load_object_code: {application: shop, vsn: "2", modules: [a, b]}
      - point_of_no_return
      - suspend: [{module: a, timeout: 500}, b]
      - load: {module: a, pre_purge: brutal_purge, post_purge: brutal_purge}
      - remove: {module: b, pre_purge: soft_purge, post_purge: soft_purge}
      - code_change: {mode: up, modules: [{module: a, extra: []}]}
      - purge: [b]
      - resume: [a, b]
      - stop: [c]
      - start: [c]
      - sync_nodes: {id: x, nodes: [a@b]}
      - restart_emulator
down: []
""",
    *(p.read_bytes() for p in sorted(examples().glob("*/*/*.appup.yaml"))),
    *(p.read_bytes() for p in sorted((_ROOT / "tests" / "beam" / "zoo").glob("*.appup.yaml"))),
]

RELEASES = [
    b'name: shop\nvsn: "1"\napplications:\n  - name: shop\n    vsn: "1"\n    start: shop.app:App\n',
    b"""\
name: shop
vsn: 1.10
applications:
  - name: shop
    vsn: 1.10
    args: {a: [1, 2.5, null, true], b: {c: "d"}}
    applications: [log]
    type: transient
    modules: [shop, shop.app, shop.cart]
  - &log
    name: log
    vsn: "1"
    modules: []
  - *log
""",
]

ERLANG_APPUPS = [
    b"""\
%% -*- coding: utf-8 -*-
{"2",
 [{<<"1\\\\.[0-9]+">>, [{update, m, {advanced, #{a => [1|b], "x" => $a}}, infinity, soft_purge, soft_purge, [n]},
         {load_module, n, soft_purge, brutal_purge, []}, {add_module, o}, {delete_module, p, [o]},
         {update, s, supervisor}, {apply, {m, f, [16#FF, -1.5e3, fun lists:map/2]}},
         {add_application, a, temporary}, restart_new_emulator]}],
 [{"1", [{load_object_code, {a, "1", [m]}}, point_of_no_return, {suspend, [{m, 5}, n]},
         {load, {m, brutal_purge, brutal_purge}}, {code_change, down, [{m, []}]}, {resume, [m]}]}]}.
""",
    b"{%VSN%, [{{{vsn}}, []}], []}.\n",
    b'{VSN, [{"1", [{load_module, m}]}], [{"1", [{load_module, m}]}]}.\n',
    *(p.read_bytes() for p in sorted(examples().glob("beam/*/*/*.appup"))),
]

OTP_RELUPS = [
    b"""\
{"2",
 [{"1", [], [{load_object_code, {shop, "2", [m]}}, point_of_no_return, {suspend, [m]},
   {load, {m, brutal_purge, brutal_purge}}, {code_change, up, [{m, [{a, <<1, 2:8/little>>}]}]}, {resume, [m]}]}],
 [{"1", "why", [point_of_no_return, {apply, {m, f, []}}]}]}.
"""
]

# fmt: off
YAML_WORDS = [
    b"- ", b": ", b"{", b"}", b"[", b"]", b", ", b"'", b'"', b"#", b"# TODO: x\n", b"|", b">", b"&a ", b"*a", b"!!x ",
    b"<<: *a", b"\n", b"\n  ", b"\t", b"---\n", b"...\n", b"? ", b"%YAML 1.1\n", b"%TAG ! x\n", b"\\", b"\\x41", b"~",
    b"null", b"true", b"1.10", b"-1", b"1e999", b"0x10", b"9" * 400, b"9" * 5000, b"1e-400", b".inf", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\0", b"\xc2\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xf0\x9f\x8d\x8e", b"inverse", b"supervisor",
    b"advanced", b"soft", b"infinity", b"{regex: '(a*)*b'}", b"regex", b"(?R)", b"at: 'x:1:1'", b"at", b"tail: x",
    b"{list: [1], tail: 2}", b"{tuple: []}", b"{map: [[{}, 1]]}", b"{binary: [256]}", b"{fun: [m, f, 1]}", b"up",
    b"down", b"from", b"to", b"vsn", b"application", b"instructions", b"update", b"load_module", b"add_module",
    b"delete_module", b"apply", b"undo", b"module", b"depends", b"change", b"keep", b"instances", b"migrate", b"name",
    b"script", b"base", b"goal", b"way_back", b"hops", b"direction", b"warnings", b"root", b"kind", b"fingerprints",
    b"applications", b"args", b"start", b"type", b"modules", b"extensions", b"..", b"/", b"a" * 300, b"a." * 100,
]

ERLANG_WORDS = [
    b"{", b"}", b"[", b"]", b",", b".\n", b"|", b"#{", b"=>", b"<<", b">>", b":", b"/", b"'", b'"', b"$", b"$\\",
    b"\\x{110000}", b"\\x{FFFFFFFFFFFF}", b"\\^", b"\\777", b"%", b"% coding: latin-1\n", b"-", b"+", b"16#FF",
    b"37#1", b"1#1", b"36#ZZ", b"1_000", b"1.0e999", b"1.0e-999", b"9" * 400, b"9" * 5000, b"16#" + b"F" * 5000,
    b"1.5", b"fun m:f/1", b"fun", b"m:f", b"1:1000000000000", b"1:8/unit:999", b'"x"/utf8', b"/little-signed-unit:3",
    b"1/float", b"1:65/float", b"2:1", b":16777216", b":16777217", b'"x"/utf32', b"VSN", b"%VSN%", b"{{vsn}}", b"X",
    b"\xff", b"\xc3\xbc", b"\0", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"""', b"end", b"maybe", b"?X", b"#r{}",
    b"<0.1.0>", b"update", b"load_module", b"advanced", b"supervisor", b"soft_purge", b"application", b"release",
    b"erts", b"vsn", b"modules", b"env", b"'A'", b"a" * 256, b"\n", b"~", b"fun x:y/99999999999999999999999",
    b"[1|[2|[3|4]]]", b'"a""b"',
]

EXTERNAL_WORDS = [
    *(bytes([n]) for n in b"\x83PabcFdwvsgXfYxhijklmnoerZpqtM"), b"\x00\x00\x00\x01", b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff", b"\x00\x00", b"\xff\xff", b"w\x01a", b"w\x04true", b"l\x00\x00\x00\x01", b"h\x01", b"h\x02",
    b"t\x00\x00\x00\x01", b"m\x00\x00\x00\x02ab", b"k\x00\x02ab", b"j", b"a\x01", b"n\x08\x00" + b"\xff" * 8,
    b"o\x00\x00\x10\x00\x00" + b"\xff" * 4096, b"F\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"P\x00\x10\x00\x00" + bytes.fromhex("789cedc1010d000000c2a0f74f6d0e37a0000000000000000000be0d210000"),
]
# fmt: on


def plans() -> Iterable[str]:
    """Yield plans as files have them."""
    for route in routes()[:2]:
        yield write_relup(route.hops[0])


def routes() -> list[Route]:
    """Return plans of one hop and of two."""
    one, two, three = (read_release(examples() / "anemone" / vsn) for vsn in "123")
    old, new = (read_release(examples() / "accounts" / vsn) for vsn in "12")
    first = plan(one, two)
    return [Route((first,)), Route((plan(old, new),)), Route((first, plan(two, three)))]


def terms() -> list[bytes]:
    """Return the strangest texts that Erlang reads, each as a file."""
    return [text.encode() for texts in TEXTS.values() for text in texts]


def agent() -> bytes:
    """Return a module that Erlang's compiler made."""
    return (_ROOT / "relup" / "targets" / "beam" / "relup_bridge.beam").read_bytes()
