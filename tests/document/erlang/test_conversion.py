"""Files go from one language to the other with their comments; what OTP cannot say is left out aloud."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput, Location
from relup.document import read_appup
from relup.document.appup import checked_appup, encode_appup
from relup.document.comments import Comments
from relup.document.erlang.appup import appup_piece, read_erlang_appup
from relup.document.erlang.conversion import export_appup, import_appup, write_erlang_appup
from relup.document.piece import locate
from relup.document.writer import write_yaml
from relup.document.yaml_comments import yaml_comments
from relup.model.appup import Appup
from relup.model.instructions import Apply, Call
from tests.document import strategies as values

ERLANG = """\
%% -*- coding: utf-8 -*-
% Written by hand.

{"2",   % the version
 [%% from one
  {"1", [
    % why
    {load_module, a}, % one line
    {update, b,
       {advanced, []}}, % all of b
    % a long
    % story
    point_of_no_return
  ]}], % nothing more
 [
  %% back
  {"1", [restart_emulator, restart_new_emulator]} % häh?
 ]}.
% vim: et
"""
YAML = """\
# Written by hand.
application: a
# the version
vsn: "2"
# from one
up:
  - from: "1"
    instructions:
      # why
      # one line
      - load_module: a
      # all of b
      - update: {module: b, change: advanced}
      # a long
      # story
      - point_of_no_return
# nothing more
down:
  # back
  - to: "1"
    instructions:
      - restart_emulator
      # häh?
      - restart_new_emulator
# vim: et
"""
BACK = """\
%% coding: utf-8
%% Written by hand.
{
 %% the version
 "2",
 %% from one
 [
  {"1",
   [
    %% why
    %% one line
    {load_module, a},
    %% all of b
    {update, b, {advanced, []}},
    %% a long
    %% story
    point_of_no_return
   ]}
 ],
 %% nothing more
 [
  %% back
  {"1",
   [
    restart_emulator,
    %% häh?
    restart_new_emulator
   ]}
 ]}.
%% vim: et
"""


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def without_schema(yaml: str) -> str:
    schema, text = yaml.split("\n", 1)
    assert schema.startswith("# yaml-language-server: $schema=file:///")
    return text


# ── comments ───────────────────────────────────────────────────────────────────────────────────────────


def test_comments_go_from_erlang_to_yaml_and_back(tmp_path: Path) -> None:
    yaml, _ = import_appup(written(tmp_path, "a.appup", ERLANG))
    assert without_schema(yaml) == YAML
    back, told = export_appup(written(tmp_path, "a.appup.yaml", yaml))
    assert (back, told) == (BACK, ())
    assert import_appup(written(tmp_path, "a.appup", back))[0] == yaml


def test_comments_inside_an_instruction_are_its_own(tmp_path: Path) -> None:
    yaml = """\
    # of the file
    application: a  # of the application
    down:  # of the list
      # of the entry
      - to: "1"
        # of the entry, too
        instructions:
          # of the update
          - update:  # of the update
              module: m
              # of the update
              change:
                advanced: |  # of the update
                  # text
          # of the end
    vsn: "2"  # of the version
    """
    text, _ = export_appup(written(tmp_path, "a.appup.yaml", dedent(yaml)))
    assert text == dedent(
        """\
        %% of the file
        %% of the application
        {
         %% of the end
         %% of the version
         "2",
         [],
         %% of the list
         [
          %% of the entry
          %% of the entry, too
          {"1",
           [
            %% of the update
            %% of the update
            %% of the update
            %% of the update
            {update, m, {advanced, '# text\\n'}}
           ]}
         ]}.
        """
    )


COMMENTS: dict[str, tuple[str, list[tuple[int, int, str, bool]]]] = {
    "none": ("a: 1\n", []),
    "alone and not": ("# a\n #b\nc: 1 #  d \n", [(1, 1, "a", True), (2, 2, "b", True), (3, 6, " d", False)]),
    "in texts": ("a: x#y\nb: 'it''s # x' # 1\nc: \"\\\" # y\" # 2\n", [(2, 16, "1", False), (3, 13, "2", False)]),
    "in blocks": ("a: |2- # 1\n  # no\n  b\n# 2\nc: >\n  # no\n", [(1, 8, "1", False), (4, 1, "2", True)]),
    "in long texts": ("a: 'x\n\n  # no'\nb: x\n  y # 1\n  \n", [(5, 5, "1", False)]),
    "in lists": ("a: [1, # 1\n 2 # 2\n] # 3\n", [(1, 8, "1", False), (2, 4, "2", False), (3, 3, "3", False)]),
    "around a document": (
        "# 1\n--- # 2\na: 1\n# 3\n... # 4\n",
        [(1, 1, "1", True), (2, 5, "2", False), (4, 1, "3", True), (5, 5, "4", False)],
    ),
    "of other letters": ("ä: ö # ü\n# ω\n", [(1, 6, "ü", False), (2, 1, "ω", True)]),
    "with other ends of lines": (
        "# 1\r\na: 1 # 2\r# 3\r\n",
        [(1, 1, "1", True), (2, 6, "2", False), (3, 1, "3", True)],
    ),
    "after anchors and tags": (
        "a: &x !!str 1 # 1\nb: *x # 2\n? c # 3\n: d # 4\n",
        [(1, 15, "1", False), (2, 7, "2", False), (3, 5, "3", False), (4, 5, "4", False)],
    ),
}


@pytest.mark.parametrize("loader", [yaml.CLoader, yaml.SafeLoader])
@pytest.mark.parametrize("case", COMMENTS)
def test_comments_of_yaml_are_what_stands_between_its_tokens(case: str, loader: object) -> None:
    text, wanted = COMMENTS[case]
    assert [tuple(c) for c in yaml_comments(text, loader)] == wanted


def test_what_a_comment_says_of_its_file_stays_there(tmp_path: Path) -> None:
    file = tmp_path / "a.appup"
    file.write_bytes(b'%% coding: latin-1\n% \xfc\x0c\x85 ! % coding\n{"2", [], []}.')
    yaml, _ = import_appup(file)
    assert without_schema(yaml) == '# ü   ! % coding\napplication: a\nvsn: "2"\nup: []\ndown: []\n'
    back, _ = export_appup(written(tmp_path, "a.appup.yaml", "# this is no coding: latin-1\n" + yaml))
    assert back == '%% coding: utf-8\n%% this is no coding: latin-1\n%% ü   ! % coding\n{"2", [], []}.\n'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(values.appups, st.data())
def test_an_appup_of_any_kind_comes_back_with_its_comments(
    tmp_path_factory: pytest.TempPathFactory, appup: Appup, data: st.DataObject
) -> None:
    said = encode_appup(appup, places=False)
    paths = [(), ("vsn",), *((s, n) for s in ("up", "down") for n in range(len(said[s])))]
    paths += [(s, n, "instructions", m) for s, n in paths[2:] for m in range(len(said[s][n]["instructions"]))]
    texts = st.lists(st.text("ab# %ü", max_size=4).map(str.strip), min_size=1, max_size=2)
    comments = Comments(data.draw(st.dictionaries(st.sampled_from(paths), texts)), data.draw(st.just([]) | texts))
    folder = tmp_path_factory.mktemp("appup")
    try:
        once, _ = export_appup(written(folder, "a.appup.yaml", write_yaml(said, "appup", comments)))
        yaml, unread = import_appup(written(folder, "a.appup", once))
    except InvalidInput as error:
        assume(not {d.code for d in error.diagnostics} & {"bad_term", "malformed", "not_in_otp"})
        raise
    assert unread == ()
    assert export_appup(written(folder, "b.appup.yaml", yaml)) == (once, ())
    assert Counter(c.text for c in yaml_comments(yaml.split("\n", 1)[1])) == Counter(
        text for texts in (*comments.parts.values(), comments.end) for text in texts
    )


# ── what OTP does not have ─────────────────────────────────────────────────────────────────────────────


def test_what_otp_cannot_say_is_left_out_and_told(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "a.appup.yaml",
        dedent(
            """\
            application: a
            vsn: 1.10
            up:
              - from: {regex: '1\\.[0-9]'}
                instructions:
                  - apply:
                      module: m
                      function: f
                      args: [null, 1.50]
                      undo: [m, g]
                  - apply: {module: m, function: f, window: inside}
                  - update: {module: big.sup, change: supervisor, depends: [m]}
                  - update: {module: m, change: soft, timeout: 10}
                  - suspend: {module: m, timeout: infinity}
                  - suspend: m
                  - code_change: m
                  - code_change: {changes: [{module: m, extra: null}]}
                  - load: m
                  - resume: 5
                  - point_of_no_return:
            """
        ),
    )
    text, told = export_appup(file)
    assert text == dedent(
        """\
        {"1.10",
         [
          {<<"1\\\\.[0-9]">>,
           [
            {apply, {m, f, [null, 1.5]}},
            {apply, {m, f, []}},
            {update, 'big.sup', static, default, {advanced, []}, brutal_purge, brutal_purge, [m]},
            {update, m, 10, soft, brutal_purge, brutal_purge, []},
            {suspend, [{m, infinity}]},
            {suspend, [m]},
            {code_change, [{m, []}]},
            {code_change, [{m, []}]},
            {load, {m, brutal_purge, brutal_purge}},
            {resume, ['5']},
            point_of_no_return
           ]}
         ],
         []}.
        """
    )
    assert list(map(str, told)) == [
        f"{file}:10:17: warning: OTP's apply has no 'undo'; it is left out [not_in_otp]",
        f"{file}:11:49: warning: OTP's apply has no 'window'; it is left out [not_in_otp]",
    ]


def test_an_inverse_must_be_derived_before(tmp_path: Path) -> None:
    text = "application: a\nvsn: 2\nup:\n  - {from: 1, instructions: [load_module: m]}\n"
    file = written(tmp_path, "a.appup.yaml", text + "down:\n  # back\n  - {to: 1, instructions: inverse}\n")
    with pytest.raises(InvalidInput) as caught:
        export_appup(file)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [("not_in_otp", Location(str(file), 7, 27))]
    appup = read_appup(file)
    derived = replace(appup, down=(replace(appup.down[0], instructions=(Apply(Call("m", "f"), Call("m", "g")),)),))
    exported, told = export_appup(file, derived)
    assert exported.endswith(' [\n  %% back\n  {"1",\n   [\n    {apply, {m, f, []}}\n   ]}\n ]}.\n')
    assert [d.code for d in told] == ["not_in_otp"]


def test_what_would_leave_states_as_they_are_is_not_left_out(tmp_path: Path) -> None:
    steps = (
        "      - update: {module: m, migrate: {module: x, function: f}}\n"
        "      - code_change: [a, {module: m, migrate: {module: x, function: f}}]\n"
    )
    file = written(tmp_path, "a.appup.yaml", f"application: a\nvsn: 2\nup:\n  - from: 1\n    instructions:\n{steps}")
    with pytest.raises(InvalidInput) as caught:
        export_appup(file)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [
        ("not_in_otp", Location(str(file), 6, 38)),
        ("not_in_otp", Location(str(file), 7, 26)),
    ]


def test_what_asks_whether_all_is_well_is_not_left_out(tmp_path: Path) -> None:
    text = "application: a\nvsn: 2\nup:\n  - from: 1\n    instructions:\n      - verify: [m, f]\n"
    file = written(tmp_path, "a.appup.yaml", text)
    with pytest.raises(InvalidInput) as caught:
        export_appup(file)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [("not_in_otp", Location(str(file), 6, 9))]


def test_a_name_that_no_atom_has_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        write_erlang_appup(
            {"application": "a", "vsn": "2", "up": [{"from": "1", "instructions": [{"load": "m" * 300}]}]}
        )
    assert [d.code for d in caught.value.diagnostics] == ["bad_term"]


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────

TEMPLATE = '{"%VSN%", [], []}.'
APP = '{application, a, [{description, ""}, {vsn, %s}]}.\n'
PLACES = {
    "beside it": ({"src/a.app": APP % '"3"', "ebin/a.app": APP % '"4"'}, "3"),
    "where it was built": ({"ebin/a.app": APP % '"4"', "src/a.app.src": APP % '"5"'}, "4"),
    "its source": ({"src/a.app.src": APP % '"5"'}, "5"),
    "not another template": ({"src/a.app": APP % '"%VSN%"', "src/a.app.src": APP % '"5"'}, "5"),
    "not what a tool makes": ({"src/a.app": APP % "git", "src/a.app.src": APP % '{cmd, "date"}'}, None),
    "not what cannot be read": ({"src/a.app": "{", "ebin/a.app": "a. b."}, None),
    "nowhere": ({"src/b.app": APP % '"3"'}, None),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_template_takes_its_version_from(case: str, tmp_path: Path) -> None:
    files, vsn = PLACES[case]
    for name, text in {**files, "src/a.appup.src": TEMPLATE}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path, name, text)
    path = tmp_path / "src" / "a.appup.src"
    assert read_erlang_appup(path, "9") == Appup("a", "9")
    if vsn is not None:
        assert read_erlang_appup(path) == Appup("a", vsn)
    else:
        with pytest.raises(InvalidInput) as caught:
            read_erlang_appup(path)
        (found,) = caught.value.diagnostics
        assert (found.code, found.location, found.hint) == (
            "needs_vsn",
            Location(str(path), 1, 2),
            "`relup import --vsn` fills it in, or an .app file beside the appup",
        )


@pytest.mark.parametrize("name", ["a.appup.yaml", "release.yml"])
def test_yaml_is_not_taken_for_a_script(name: str, tmp_path: Path) -> None:
    file = written(tmp_path, name, "# a comment\nname: a\n")
    with pytest.raises(InvalidInput) as caught:
        import_appup(file)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [("not_erlang", Location(str(file), 1, 1))]


def test_a_version_that_is_given_changes_no_file_that_says_one(tmp_path: Path) -> None:
    assert read_erlang_appup(written(tmp_path, "a.appup", '{"2", [], []}.'), "9").vsn == "2"


# ── places ────────────────────────────────────────────────────────────────────────────────────


def test_every_part_has_the_place_where_erlang_has_it() -> None:
    piece = appup_piece(ERLANG, "a.appup")
    wanted = {
        (): (4, 1),
        ("vsn",): (4, 2),
        ("up",): (5, 2),
        ("up", 0): (6, 3),
        ("up", 0, "from"): (6, 4),
        ("up", 0, "instructions"): (6, 9),
        ("up", 0, "instructions", 1): (9, 5),
        ("up", 0, "instructions", 1, "update", "change"): (10, 8),
        ("down", 0, "instructions", 1): (17, 28),
    }
    assert {path: locate(piece, path) for path in wanted} == {p: Location("a.appup", *s) for p, s in wanted.items()}
    assert checked_appup(piece).up[0].instructions[1].location == Location("a.appup", 9, 5)


def test_what_is_no_term_is_refused_where_it_stands(tmp_path: Path) -> None:
    steps = "      - apply: [m, f, [{string: [1]}]]\n      - update: {module: m, timeout: 0}\n      - load: m\n"
    head = "application: a\nvsn: 2\nup:\n  - from: 1\n    instructions:\n"
    file = written(tmp_path, "a.appup.yaml", head + steps)
    with pytest.raises(InvalidInput) as caught:
        export_appup(file)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [
        ("malformed", Location(str(file), 6, 9)),
        ("malformed", Location(str(file), 7, 9)),
    ]
