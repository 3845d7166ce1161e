"""BEAM releases: what is read from one, what can be wrong with one, and that OTP reads the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document import read_document, read_release
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.instructions import LoadModule
from relup.model.release import Application
from tests.document.erlang.releases import CORE_APPS, CORE_LINES, app, build, rel, shop


def problems(path: Path, root: Path | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_release(path)
    return str(caught.value).replace(str(root or path), "{}").splitlines()


# ── what is read ───────────────────────────────────────────────────────────────────────────────────────

CART = {
    "lib/cart-1.10/ebin/cart.app": app(
        "cart", "1.10", "[cart_sup, cart, 'Elixir.Cart']", "[kernel,stdlib,shop]", ", {mod,{cart_sup,[{a,1}]}}"
    ),
    "lib/shop-1/ebin/shop.app": app("shop", "1"),
}
LINES = ('{cart,"1.10",transient}', '{shop,"1",load,[]}')


def test_a_release_is_what_its_files_say(tmp_path: Path) -> None:
    found = read_release(build(tmp_path, shop(*LINES) | CART))
    assert (found.name, found.vsn, found.kind, found.erts) == ("shop", "1", "beam", "13")
    assert (found.root, str(found.location)) == (str(tmp_path), f"{tmp_path}/releases/1/shop.rel:1:1")
    assert [a.name for a in found.applications] == ["kernel", "stdlib", "shop", "cart"]
    cart = found.applications[3]
    assert cart == Application(
        "cart",
        "1.10",
        ("cart_sup", "cart", "Elixir.Cart"),
        type="transient",
        applications=("kernel", "stdlib", "shop"),
    )
    assert str(cart.location) == f"{tmp_path}/releases/1/shop.rel:4:3"


def test_modules_are_in_the_order_in_which_they_are_written_and_may_have_versions(tmp_path: Path) -> None:
    files = shop('{cart,"1"}') | {"lib/cart-1/ebin/cart.app": app("cart", "1", '[{z,"1"}, {a,2}, m]')}
    assert read_release(build(tmp_path, files)).applications[-1].modules == ("z", "a", "m")


def test_a_release_is_found_by_its_file_its_folders_and_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, shop(*LINES) | CART)
    wanted = read_release(tmp_path)
    for path in ("releases/1/shop.rel", "releases/1", "../1/shop.rel", "shop.rel", "."):
        monkeypatch.chdir(tmp_path if path.startswith("releases") else tmp_path / "releases/1")
        assert read_release(path) == wanted
        assert read_document(path) == wanted
    assert str(read_release("shop.rel").location) == "shop.rel:1:1"


PLACES = ("lib/cart-1/ebin", "cart-1/ebin", "cart/ebin", "lib/cart/ebin", "ebin", ".")


@pytest.mark.parametrize("place", [f"{folder}{p}" for folder in ("", "releases/", "releases/1/") for p in PLACES])
def test_an_application_is_found_around_its_release(place: str, tmp_path: Path) -> None:
    files = shop('{cart,"1"}') | {f"{place}/cart.app": app("cart", "1", "[cart]"), "cart-1/cart.app": "damaged"}
    found = read_release(build(tmp_path, files))
    assert found.applications[-1].modules == ("cart",)


@pytest.mark.parametrize("place", PLACES)
def test_a_lone_file_is_a_release_with_what_lies_in_its_folder(place: str, tmp_path: Path) -> None:
    files = CORE_APPS | {"my.rel": rel(*CORE_LINES, '{cart,"1"}'), f"{place}/cart.app": app("cart", "1", "[cart]")}
    build(tmp_path, files)
    assert read_release(tmp_path) == read_release(tmp_path / "my.rel")
    assert read_release(tmp_path).root == str(tmp_path)
    assert read_release(tmp_path).applications[-1].modules == ("cart",)


def test_the_version_that_an_app_file_says_decides(tmp_path: Path) -> None:
    files = {
        "lib/cart-2/ebin/cart.app": app("cart", "1"),
        "cart-2/ebin/cart.app": "{application, cart, [",
        "cart/ebin/cart.app": app("cart", "2", "[right]"),
    }
    assert read_release(build(tmp_path, shop('{cart,"2"}') | files)).applications[-1].modules == ("right",)


@pytest.mark.parametrize("place", ["cart-1/ebin", "cart/ebin"])
def test_what_a_release_does_not_have_itself_is_looked_for_in_libraries(place: str, tmp_path: Path) -> None:
    root = build(tmp_path / "root", shop('{cart,"1"}'))
    library = build(tmp_path / "library", {f"{place}/cart.app": app("cart", "1", "[cart]")})
    assert read_release(root, [tmp_path, library]).applications[-1].modules == ("cart",)
    assert read_release(str(root), [str(library)]).root == str(root)


def test_links_out_of_a_release_are_followed(tmp_path: Path) -> None:
    root = build(tmp_path / "root", {"releases/1/shop.rel": rel(*CORE_LINES)})
    build(tmp_path / "otp", CORE_APPS)
    (root / "lib").symlink_to(tmp_path / "otp/lib")
    assert [a.name for a in read_release(root).applications] == ["kernel", "stdlib"]


def test_applications_start_after_what_they_need_and_what_they_include(tmp_path: Path) -> None:
    files = {
        "lib/a-1/ebin/a.app": app("a", "1", needs="[kernel,d,c]"),
        "lib/b-1/ebin/b.app": app("b", "1", needs="[]", rest=", {included_applications,[e,c]}"),
        "lib/c-1/ebin/c.app": app("c", "1", needs="[b]"),
        "lib/d-1/ebin/d.app": app("d", "1", needs="[gone]", rest=", {optional_applications,[gone]}"),
        "lib/e-1/ebin/e.app": app("e", "1"),
    }
    found = read_release(build(tmp_path, shop(*(f'{{{n},"1"}}' for n in "abcde")) | files))
    assert [a.name for a in found.applications] == ["kernel", "stdlib", "c", "e", "b", "d", "a"]
    assert found.application("d") == Application("d", "1")


def test_a_release_file_may_include_less_than_an_app_file(tmp_path: Path) -> None:
    files = {
        "lib/a-1/ebin/a.app": app("a", "1", rest=", {included_applications,[b,c]}"),
        "lib/b-1/ebin/b.app": app("b", "1", needs="[a]"),
        "lib/c-1/ebin/c.app": app("c", "1", needs="[a]"),
    }
    lines = ('{a,"1",permanent,[c]}', '{b,"1"}', '{c,"1"}')
    found = read_release(build(tmp_path, shop(*lines) | files))
    assert [a.name for a in found.applications] == ["kernel", "stdlib", "c", "a", "b"]


# ── which file of a folder ─────────────────────────────────────────────────────────────────────────────

SEVERAL = "{}:1:1: there are several releases in this folder: %s (name one of these files) [ambiguous_release]"
TWO = "{}:1:1: this folder has two releases: release.yaml and %s (name one of these files) [ambiguous_release]"
NONE = (
    "{}:1:1: this folder has neither a release.yaml nor a .rel file (a release is a folder with a release.yaml that"
    " says name, vsn and applications, or with releases/*/*.rel; or what `pip install --target` makes,"
    " or wheels, or a source tree with a pyproject.toml) [no_release]"
)
# the `.rel` files of a folder and other files; which one is read, or what is said
CHOICES: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "of one version": (("releases/1/shop.rel",), {}, "releases/1/shop.rel"),
    "in releases": (("releases/shop.rel",), {}, "releases/shop.rel"),
    "beside releases": (("shop.rel", "releases/1/shop.rel"), {}, "releases/1/shop.rel"),
    "with the copy that OTP makes": (("releases/shop.rel", "releases/1/shop.rel"), {}, "releases/1/shop.rel"),
    "of relx": (
        ("releases/1/shop.rel", "releases/1/start_clean.rel", "releases/1/no_dot_erlang.rel"),
        {"releases/start_erl.data": "13 1"},
        "releases/1/shop.rel",
    ),
    "after an upgrade": (
        ("releases/1/shop.rel", "releases/2/shop.rel"),
        {"releases/start_erl.data": "13 2\n"},
        "releases/2/shop.rel",
    ),
    "of nobody knows which version": (
        ("releases/1/shop.rel", "releases/2/shop.rel"),
        {},
        SEVERAL % "releases/1/shop.rel, releases/2/shop.rel",
    ),
    "with a version that is not there": (
        ("releases/1/shop.rel", "releases/2/shop.rel"),
        {"releases/start_erl.data": "13 3"},
        SEVERAL % "releases/1/shop.rel, releases/2/shop.rel",
    ),
    "with damaged data": (
        ("releases/1/shop.rel", "releases/2/shop.rel"),
        {"releases/start_erl.data": "13"},
        SEVERAL % "releases/1/shop.rel, releases/2/shop.rel",
    ),
    "of two names": (("a.rel", "b.rel"), {}, SEVERAL % "a.rel, b.rel"),
    "of both kinds": (("releases/1/shop.rel",), {"release.yaml": ""}, TWO % "releases/1/shop.rel"),
    "of no kind": ((), {"lib/cart-1/ebin/cart.app": ""}, NONE),
    "too deep": (("a/releases/1/shop.rel",), {}, NONE),
}


@pytest.mark.parametrize("case", CHOICES)
def test_of_a_folder_the_release_is_read_that_it_is(case: str, tmp_path: Path) -> None:
    files, others, wanted = CHOICES[case]
    build(tmp_path, CORE_APPS | {f: rel(*CORE_LINES, name=f) for f in files} | others)
    if wanted.endswith(".rel"):
        assert read_release(tmp_path).name == wanted
    else:
        assert problems(tmp_path) == [wanted]


# ── appups and fingerprints ────────────────────────────────────────────────────────────────────────────

YAML = 'application: cart\nvsn: "2"\nup:\n  - from: "1"\n    instructions:\n      - load_module: cart\n'
ERLANG = '{"2", [{"1", [{load_module, cart}]}], []}.\n'
CART_2 = shop('{cart,"2"}') | {"lib/cart-2/ebin/cart.app": app("cart", "2", "[cart]")}


@pytest.mark.parametrize(
    ("place", "text"), [("ebin/cart.appup", ERLANG), ("ebin/cart.appup.yaml", YAML), ("priv/cart.appup.yaml", YAML)]
)
def test_an_appup_ships_with_its_application_in_either_language(place: str, text: str, tmp_path: Path) -> None:
    found = read_release(build(tmp_path, CART_2 | {f"lib/cart-2/{place}": text}))
    entry = Entry(VersionPattern("1"), (LoadModule("cart"),))
    assert found.applications[-1].appup == Appup("cart", "2", (entry,))


def test_an_appup_of_another_version_is_read(tmp_path: Path) -> None:
    files = {"lib/cart-2/ebin/cart.appup": ERLANG.replace('"2"', '"3"')}
    appup = read_release(build(tmp_path, CART_2 | files)).applications[-1].appup
    assert appup is not None
    assert appup.vsn == "3"


def test_a_version_that_a_build_tool_should_have_filled_in_is(tmp_path: Path) -> None:
    files = {"lib/cart-2/ebin/cart.appup": ERLANG.replace('"2"', '"%VSN%"')}
    appup = read_release(build(tmp_path, CART_2 | files)).applications[-1].appup
    assert appup is not None
    assert appup.vsn == "2"


def test_fingerprints_are_of_the_modules_that_are_there(tmp_path: Path) -> None:
    chunks = {b"AtU8": b"\0\0\0\1\4cart", b"Code": b"code", b"StrT": b"", b"ImpT": b"none", b"ExpT": b"none"}
    parts = b"".join(n + len(c).to_bytes(4) + c + bytes(-len(c) % 4) for n, c in chunks.items())
    build(tmp_path, CART_2 | {"lib/cart-2/ebin/cart.app": app("cart", "2", "[cart,gone]")})
    (tmp_path / "lib/cart-2/ebin/cart.beam").write_bytes(b"FOR1" + (4 + len(parts)).to_bytes(4) + b"BEAM" + parts)
    found = read_release(tmp_path).applications[-1]
    assert found.modules == ("cart", "gone")
    assert found.fingerprints == {"cart": hashlib.md5(b"".join(chunks.values())).hexdigest()}


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────

REL, CART_APP = "{}/releases/1/shop.rel", "{}/lib/cart-1/ebin/cart.app"


def of_rel(text: str) -> dict[str, str]:
    return CORE_APPS | {"releases/1/shop.rel": text}


def of_cart(text: str) -> dict[str, str]:
    return shop('{cart,"1"}') | {"lib/cart-1/ebin/cart.app": text}


LINE = (
    'expected {application, "vsn"}, or with a type (permanent, transient, temporary, load or none) and a list of'
    " included applications [illegal_applications]"
)
SHAPE = 'expected {release, {"name", "vsn"}, {erts, "vsn"}, [{application, "vsn"}, …]}. [badly_formatted_release]'
# the files of a folder, and what is said of it; {} stands for the folder
CASES: dict[str, tuple[dict[str, str], list[str]]] = {
    "an empty release file": (of_rel(""), [f"{REL}:1:1: {SHAPE}"]),
    "a release file that is another term": (of_rel("%% a\n {release, 1}.\n"), [f"{REL}:2:2: {SHAPE}"]),
    "two releases in a file": (of_rel(rel(*CORE_LINES) * 2), [f"{REL}:1:1: {SHAPE}"]),
    "names and versions that are no strings": (
        of_rel("{release, {shop,1},\n {erts,'13'},\n [" + ",".join(CORE_LINES) + "]}.\n"),
        [
            f"{REL}:1:12: the name of the release is not a string [illegal_name]",
            f"{REL}:1:17: the version of the release is not a string [illegal_form]",
            f"{REL}:2:8: the version of erts is not a string [illegal_form]",
        ],
    ),
    "lines that are none": (
        of_rel(
            rel(*CORE_LINES, "cart", "{cart}", "{cart,1}", '{"cart","1"}', '{cart,"1",always}', '{cart,"1",load,[1]}')
        ),
        [f"{REL}:{n}:3: {LINE}" for n in range(4, 10)],
    ),
    "no kernel and a transient stdlib": (
        of_rel(rel('{stdlib,"5",transient}')),
        [
            f"{REL}:1:1: no release is without the application 'kernel' [missing_mandatory_app]",
            f"{REL}:2:3: the application 'stdlib' must be permanent, it is transient [mandatory_app]",
        ],
    ),
    "an application twice": (
        of_rel(rel(*CORE_LINES, '{kernel,"10"}')),
        [f"{REL}:4:3: the application 'kernel' is listed twice, first in line 2 [duplicate_application]"],
    ),
    "an application that is nowhere": (
        shop('{cart,"1"}'),
        [
            f"{REL}:4:3: the release has cart 1, but there is no cart.app: looked into lib/cart-1/ebin, cart-1/ebin,"
            " cart/ebin, lib/cart/ebin and ebin of {}/releases/1, {}/releases, {}, and there itself (name the folders"
            " of other libraries, such as Erlang's own lib) [not_found]"
        ],
    ),
    "an application of other versions only": (
        shop('{cart,"1"}')
        | {"lib/cart/ebin/cart.app": app("cart", "2"), "lib/cart-1/ebin/cart.app": app("cart", "1.0")},
        [
            f"{REL}:4:3: the release has cart 1, but {{}}/lib/cart-1/ebin/cart.app is of 1.0,"
            " {}/lib/cart/ebin/cart.app is of 2 [no_valid_version]"
        ],
    ),
    "an app file of another application": (
        of_cart(app("shop", "1")),
        [f"{CART_APP}:1:1: this is the application 'shop', its file is named for 'cart' [bad_application_name]"],
    ),
    "an app file that is another term": (
        of_cart("\n{application, cart}.\n"),
        [f"{CART_APP}:2:1: expected {{application, Name, [{{vsn, Vsn}}, …]}}. [badly_formatted_application]"],
    ),
    "an empty app file": (
        of_cart("% nothing\n"),
        [f"{CART_APP}:1:1: expected {{application, Name, [{{vsn, Vsn}}, …]}}. [badly_formatted_application]"],
    ),
    "parameters that are missing": (
        of_cart("{application, cart, [{env,[]}]}.\n"),
        [
            f"{CART_APP}:1:1: the parameter {p} is missing [missing_param]"
            for p in ("applications", "description", "modules", "registered", "vsn")
        ],
    ),
    "parameters that are wrong": (
        of_cart(
            "{application, cart, [\n{description,a},\n{vsn,1},\n{id,<<>>},\n{modules,[1]},\n{registered,a},\n"
            '{applications,["a"]},\n{optional_applications,{}},\n{included_applications,[a|b]},\n{mod,cart},\n'
            "{start_phases,[a]},\n{env,[{1,2}]},\n{maxT,0},\n{maxP,many},\n{unknown,1},\nunknown]}.\n"
        ),
        [
            f"{CART_APP}:{n}:{len(key) + 3}: {key}: expected {what} [bad_param]"
            for n, key, what in (
                (2, "description", "a string"),
                (3, "vsn", "a string"),
                (4, "id", "a string"),
                (5, "modules", "a list of modules"),
                (6, "registered", "a list of names"),
                (7, "applications", "a list of applications"),
                (8, "optional_applications", "a list of applications"),
                (9, "included_applications", "a list of applications"),
                (10, "mod", "{Module, Arguments}"),
                (11, "start_phases", "a list of {Phase, Arguments}"),
                (12, "env", "a list of {Name, Value}"),
                (13, "maxT", "a number of milliseconds or infinity"),
                (14, "maxP", "a number of processes or infinity"),
            )
        ],
    ),
    "an application that needs and includes what is not there": (
        of_cart(app("cart", "1", needs="[kernel,\n gone]", rest=",\n {included_applications, [away]}")),
        [
            f"{CART_APP}:4:2: 'cart' needs 'gone', which is not in this release [undefined_applications]",
            f"{CART_APP}:5:27: 'cart' needs 'away', which is not in this release [undefined_applications]",
        ],
    ),
    "a circle": (
        shop('{cart,"1"}', '{shop,"1"}')
        | {
            "lib/cart-1/ebin/cart.app": app("cart", "1", needs="[shop]"),
            "lib/shop-1/ebin/shop.app": app("shop", "1", needs="[stdlib,cart]"),
        },
        [f"{CART_APP}:3:18: the applications need each other: cart → shop → cart [circular_dependencies]"],
    ),
    "names that two applications claim": (
        shop('{cart,"1"}', '{shop,"1"}', '{till,"1"}')
        | {
            "lib/cart-1/ebin/cart.app": app("cart", "1", "[till,lists]", rest=", {included_applications,[till]}"),
            "lib/shop-1/ebin/shop.app": app("shop", "1", rest=", {included_applications,[till]}"),
            "lib/till-1/ebin/till.app": app("till", "1", "[till,m,m]").replace("d,[]", "d,[a,a]"),
        },
        [
            f"{CART_APP}:2:51: 'lists' is a module of 'stdlib' and 'cart' [duplicate_modules]",
            "{}/lib/shop-1/ebin/shop.app:3:59: 'till' is included by 'cart' and 'shop' [duplicate_include]",
            "{}/lib/till-1/ebin/till.app:2:46: 'till' is a module of 'cart' and 'till' [duplicate_modules]",
            "{}/lib/till-1/ebin/till.app:2:53: 'm' is a module of 'till' twice [duplicate_modules]",
            "{}/lib/till-1/ebin/till.app:2:73: 'a' is registered by 'till' twice [duplicate_register]",
        ],
    ),
    "an application that includes what its app file does not": (
        shop('{cart,"1",[till]}', '{till,"1"}')
        | {"lib/cart-1/ebin/cart.app": app("cart", "1"), "lib/till-1/ebin/till.app": app("till", "1")},
        [f"{REL}:4:14: 'cart' cannot include 'till': its .app file does not [override_include]"],
    ),
    "applications that include each other": (
        shop('{a,"1"}', '{b,"1"}')
        | {
            "lib/a-1/ebin/a.app": app("a", "1", rest=",\n {included_applications,[b]}"),
            "lib/b-1/ebin/b.app": app("b", "1", rest=",\n {included_applications,[a]}"),
        },
        ["{}/lib/a-1/ebin/a.app:4:26: the applications need each other: a → b → a [circular_dependencies]"],
    ),
    "an application that both needs and includes another": (
        shop('{a,"1"}', '{b,"1"}')
        | {
            "lib/a-1/ebin/a.app": app("a", "1", needs="[b]", rest=",\n {included_applications,[b]}"),
            "lib/b-1/ebin/b.app": app("b", "1"),
        },
        ["{}/lib/a-1/ebin/a.app:3:18: 'a' includes 'b': it cannot need it too [included_and_used]"],
    ),
    "a damaged module": (
        CART_2 | {"lib/cart-2/ebin/cart.beam": "-module(cart)."},
        ["{}/lib/cart-2/ebin/cart.beam:1:1: this module is damaged: it is not a BEAM file [not_a_beam_file]"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_release_is_refused(case: str, tmp_path: Path) -> None:
    files, wanted = CASES[case]
    assert problems(build(tmp_path, files)) == wanted


FAULTY = {
    "two appups": ({"ebin/cart.appup": ERLANG, "priv/cart.appup.yaml": YAML}, "duplicate_appup"),
    "one that is no term": ({"ebin/cart.appup": "{"}, "bad_term"),
}


@pytest.mark.parametrize(("files", "code"), FAULTY.values(), ids=FAULTY.keys())
def test_a_faulty_appup_stops_nobody_who_does_not_need_it(files: dict[str, str], code: str, tmp_path: Path) -> None:
    built = build(tmp_path, CART_2 | {f"lib/cart-2/{place}": text for place, text in files.items()})
    cart = read_release(built).applications[-1]
    assert cart.appup is None
    assert [(d.code, d.location is not None) for d in cart.faults] == [(code, True)]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    files = shop('{cart,"1"}', '{till,"1"}') | {
        "lib/cart-1/ebin/cart.app": app("cart", "1", "[lists]", "[gone]"),
        "lib/stdlib-5/ebin/lists.beam": "",
    }
    codes = [line.rpartition("[")[2][:-1] for line in problems(build(tmp_path, files))]
    assert sorted(codes) == [
        "duplicate_modules",
        "not_a_beam_file",
        "not_found",
        "undefined_applications",
    ]


def test_files_that_cannot_be_read_are_never_waited_for(tmp_path: Path) -> None:
    build(tmp_path, of_cart(app("cart", "1")))
    (tmp_path / "lib/cart-1/ebin/cart.app").unlink()
    os.mkfifo(tmp_path / "lib/cart-1/ebin/cart.app")
    assert problems(tmp_path)[0].endswith("[not_found]")
    (tmp_path / "releases/1/shop.rel").unlink()
    os.mkfifo(tmp_path / "releases/1/shop.rel")
    assert problems(tmp_path) == [NONE]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text("{}[],.\"'%\nabrelsvn01 ", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    build(tmp_path, of_cart(""))
    (tmp_path / "releases/1/my.rel").write_bytes(content)
    (tmp_path / "lib/cart-1/ebin/cart.app").write_bytes(content)
    for file in ("my.rel", "shop.rel"):
        with pytest.raises(InvalidInput):
            read_release(tmp_path / "releases/1" / file)
