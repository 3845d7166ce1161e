"""Files go from one language to the other with their comments; what OTP cannot say is left out aloud."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput, Location
from relup.document import read_appup
from relup.document.appup import encode_appup
from relup.document.erlang.appup import appup_piece, read_erlang_appup
from relup.document.erlang.conversion import export_appup, import_appup, write_erlang_appup
from relup.document.erlang.data import from_data, to_data
from relup.document.erlang.reader import read_terms
from relup.document.erlang.terms import Atom, Binary, Fun, List, Map, Number, String, Term, Tuple
from relup.document.piece import Malformed, Piece, Plain, locate
from relup.document.yaml_comments import yaml_comments
from relup.model.appup import Appup
from tests.document import strategies as values
from tests.document.erlang.otp import canonical
from tests.document.erlang.strategies import terms

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
up:
  # from one
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
  # häh?
  - {to: "1", instructions: [restart_emulator, restart_new_emulator]}
# vim: et
"""
BACK = """\
%% coding: utf-8
%% Written by hand.
{%% the version
 "2",
"""


def test_comments_go_from_erlang_to_yaml(tmp_path: Path) -> None:
    file = tmp_path / "a.appup"
    file.write_text(ERLANG, encoding="utf-8")
    schema, text = import_appup(file)[0].split("\n", 1)
    assert schema.startswith("# yaml-language-server: $schema=file:///")
    assert text == YAML
