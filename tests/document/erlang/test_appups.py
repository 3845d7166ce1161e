"""OTP's appups go to YAML and back without a loss; what OTP refuses is refused under OTP's tag."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from relup.diagnostics import InvalidInput
from relup.document import read_appup
from relup.document.appup import checked_appup
from relup.document.erlang.appup import appup_piece, read_erlang_appup
from relup.document.erlang.conversion import export_appup, import_appup, write_erlang_appup
from relup.document.erlang.reader import decode, read_terms
from relup.document.erlang.terms import Atom, List, Number, String, Term, Tuple
from relup.document.erlang.writer import write_terms
from relup.document.writer import write_yaml
from relup.document.yaml_reader import read_yaml
from relup.model import instructions as i
from relup.model.instructions import Call, Instruction
from tests.document.erlang.otp import canonical
from tests.document.erlang.strategies import terms

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("RELUP_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
needs_data = pytest.mark.skipif(
    not (FOLDER / "appup_cases.jsonl.gz").is_file(),
    reason="the conformance data is not here; name its folder in RELUP_CONFORMANCE",
)
FILES = sorted((FOLDER / "appups").rglob("*.appup*"))


def there_and_back(text: str) -> Term:
    """The term of an appup that went to YAML and came back."""
    piece = appup_piece(text, "a.appup")
    appup = checked_appup(piece)
    copy = read_yaml(write_yaml(piece.data, "appup"), "a.appup.yaml")
    assert checked_appup(copy) == appup
    written, told = write_erlang_appup(copy.data)
    assert told == ()
    return read_terms(written, "b.appup").terms[0]


# ── files and entries of the world ─────────────────────────────────────────────────────────────────────


@needs_data
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_real_file_comes_back_with_its_comments(path: Path, tmp_path: Path) -> None:
    terms, comments = read_terms(decode(path.read_bytes(), str(path)), str(path), "1.0")
    text, unread = import_appup(path, "1.0")
    copy = tmp_path / "copy.appup.yaml"
    copy.write_text(text, encoding="utf-8")
    assert read_appup(copy) == read_erlang_appup(path, "1.0")
    written, told = export_appup(copy)
    back = read_terms(written, "copy.appup")
    assert (back.terms, told) == (terms[:1], ())
    assert Counter(c.text for c in back.comments) == Counter(c.text for c in comments)
    assert [d.code for d in unread] == ["unread_terms"] * (len(terms) > 1)


def term(data: Any) -> Term:
    match data:
        case {"t": items}:
            return Tuple(tuple(map(term, items)))
        case {"s": text}:
            return String(text)
        case list():
            return List(tuple(map(term, data)))
        case str():
            return Atom(data)
        case _:
            return Number(data)


def entry_text(direction: str, steps: Term) -> str:
    entry = List((Tuple((String("1.0"), steps)),))
    lists = (entry, List(())) if direction == "up" else (List(()), entry)
    return write_terms([Tuple((String("2.0"), *lists))])


@needs_data
def test_every_real_entry_comes_back_as_it_was_or_is_refused_as_otp_does() -> None:
    with gzip.open(FOLDER / "appup_cases.jsonl.gz", "rt") as lines:
        cases = [json.loads(line) for line in lines]
    refused: Counter[str] = Counter()
    for case in cases:
        text = entry_text(case["dir"], term(case["script"]))
        try:
            assert there_and_back(text) == read_terms(text, "a.appup").terms[0]
        except InvalidInput as error:
            (tag,) = {d.code for d in error.diagnostics}
            assert case["result"]["t"][2]["t"][0] == tag
            refused[tag] += 1
    assert len(cases) == 1016
    assert refused == {"bad_instruction": 3}


@needs_data
def test_what_otp_refuses_for_its_form_is_refused_under_its_tag() -> None:
    differ = []
    for case in json.loads((FOLDER / "translate_cases.json").read_text()):
        verdict, *_, reason = case["result"]["t"]
        tag = reason["t"][0] if isinstance(reason, dict) else str(reason)
        try:
            for script in case["scripts"]:
                there_and_back(entry_text("up", term(script)))
            refused = set()
        except InvalidInput as error:
            refused = {d.code for d in error.diagnostics}
        expected = verdict == "error" and tag.startswith(("bad_", "not_yet")) and "point_of_no_return" not in tag
        if (tag not in refused) if expected else refused:
            differ.append(case["n"])
    assert differ == [103, 104], "restart and reboot: OTP passes them on, release_handler knows no such instructions"


# ── forms ──────────────────────────────────────────────────────────────────────────────────────────────

UPDATE = {"pre_purge": "soft_purge", "post_purge": "brutal_purge"}
FORMS: dict[str, Instruction] = {
    "{update, m}": i.Update("m"),
    "{update, m, soft}": i.Update("m"),
    "{update, m, supervisor}": i.Update("m", i.SupervisorChange()),
    "{update, m, {advanced, []}}": i.Update("m", i.Advanced()),
    '{update, m, {advanced, ""}}': i.Update("m", i.Advanced()),
    '{update, m, {advanced, "x"}}': i.Update("m", i.Advanced({"string": "x"})),
    "{update, m, [n]}": i.Update("m", depends=("n",)),
    "{update, m, []}": i.Update("m"),
    '{update, m, ""}': i.Update("m"),
    "{update, m, soft, [n]}": i.Update("m", depends=("n",)),
    "{update, m, {advanced, {a, 1}}, []}": i.Update("m", i.Advanced({"tuple": ["a", 1]})),
    "{update, m, soft, soft_purge, brutal_purge, [n]}": i.Update("m", i.Soft(), ("n",), pre_purge="soft_purge"),
    "{update, m, 500, {advanced, a}, brutal_purge, soft_purge, []}": i.Update(
        "m", i.Advanced("a"), timeout=500, post_purge="soft_purge"
    ),
    "{update, m, static, infinity, soft, brutal_purge, brutal_purge, []}": i.Update(
        "m", mod_type="static", timeout="infinity"
    ),
    "{update, m, dynamic, default, soft, brutal_purge, brutal_purge, []}": i.Update("m"),
    "{load_module, m}": i.LoadModule("m"),
    "{load_module, m, [n, 'Elixir.N']}": i.LoadModule("m", ("n", "Elixir.N")),
    "{load_module, m, soft_purge, soft_purge, []}": i.LoadModule("m", (), "soft_purge", "soft_purge"),
    "{add_module, m}": i.AddModule("m"),
    "{add_module, m, [n]}": i.AddModule("m", ("n",)),
    "{delete_module, m}": i.DeleteModule("m"),
    "{delete_module, m, [n]}": i.DeleteModule("m", ("n",)),
    "{add_application, a}": i.AddApplication("a"),
    "{add_application, a, permanent}": i.AddApplication("a"),
    "{add_application, a, load}": i.AddApplication("a", "load"),
    "{remove_application, a}": i.RemoveApplication("a"),
    "{restart_application, a}": i.RestartApplication("a"),
    '{load_object_code, {a, "1.10", [m, n]}}': i.LoadObjectCode("a", "1.10", ("m", "n")),
    "{load_object_code, {a, [$1], []}}": i.LoadObjectCode("a", "1", ()),
    "point_of_no_return": i.PointOfNoReturn(),
    "{load, {m, soft_purge, brutal_purge}}": i.Load("m", "soft_purge"),
    "{remove, {m, brutal_purge, soft_purge}}": i.Remove("m", "brutal_purge", "soft_purge"),
    "{purge, [m, n]}": i.PurgeModules(("m", "n")),
    "{suspend, [m, {n, 500}, {o, default}]}": i.Suspend((i.Suspension("m"), i.Suspension("n", 500), i.Suspension("o"))),
    "{resume, []}": i.Resume(()),
    "{code_change, [{m, []}, {n, {a}}]}": i.CodeChange(
        "up", (i.ModuleChange("m"), i.ModuleChange("n", {"tuple": ["a"]}))
    ),
    "{code_change, up, [{m, null}]}": i.CodeChange("up", (i.ModuleChange("m", "null"),)),
    "{code_change, down, []}": i.CodeChange("down", ()),
    "{stop, [m]}": i.Stop(("m",)),
    "{start, [m]}": i.Start(("m",)),
    "{sync_nodes, {a, 1}, ['a@b']}": i.SyncNodes({"tuple": ["a", 1]}, ("a@b",)),
    "{sync_nodes, 1, {m, f, [x]}}": i.SyncNodes(1, Call("m", "f", ("x",))),
    "{apply, {m, f, []}}": i.Apply(Call("m", "f")),
    '{apply, {m, f, [a, "b", <<"c">>, true, 1.0]}}': i.Apply(
        Call("m", "f", ("a", {"string": "b"}, {"binary": "c"}, True, 1.0))
    ),
    '{apply, {m, f, "ab"}}': i.Apply(Call("m", "f", (97, 98))),
    "restart_new_emulator": i.RestartNewEmulator(),
    "restart_emulator": i.RestartEmulator(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_means_what_appup_5_says_and_comes_back(form: str) -> None:
    text = f'{{"2", [{{"1", [{form}]}}], []}}.'
    (entry,) = checked_appup(appup_piece(text, "a.appup")).up
    assert entry.instructions == (FORMS[form],)
    assert canonical([there_and_back(text)]) == canonical(read_terms(text, "a.appup").terms)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(terms, terms)
def test_any_data_comes_back(one: Term, other: Term) -> None:
    module = Atom("m")
    steps = [
        Tuple((Atom("update"), module, Tuple((Atom("advanced"), one)))),
        Tuple((Atom("apply"), Tuple((module, Atom("f"), List((one, other)))))),
        Tuple((Atom("sync_nodes"), other, List(()))),
        Tuple((Atom("code_change"), Atom("down"), List((Tuple((module, other)),)))),
    ]
    text = entry_text("up", List(tuple(steps)))
    assert canonical([there_and_back(text)]) == canonical(read_terms(text, "a.appup").terms)
