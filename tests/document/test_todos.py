"""Comments that begin with TODO are found in both languages, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from relup.document import read_appup, read_document
from relup.model.appup import Appup

HEAD = 'application: shop\nvsn: "2"\n'
YAML = {
    "alone": (f"{HEAD}# TODO: why\nup: []\n", [(3, 1, "why")]),
    "behind something": (f"{HEAD}up: []  #TODO\n", [(3, 9, "")]),
    "in the middle of a comment": (f"{HEAD}up: []  # no TODO\n", []),
    "a word that begins alike": (f"{HEAD}up: []  # TODOS are none\n", []),
    "in a text": (f'{HEAD}up: [{{from: "# TODO", instructions: []}}]\n', []),
    "in JSON": ('{"application": "shop", "vsn": "2", "up": [{"from": "\\t# TODO", "instructions": []}]}', []),
}


def asked(appup: Appup) -> list[tuple[int, int, str]]:
    places = [(d.location, d.message.partition(": ")[2]) for d in appup.unanswered]
    return [(place.line, place.column, said) for place, said in places if place]


@pytest.mark.parametrize(("text", "expected"), YAML.values(), ids=YAML.keys())
def test_yaml(tmp_path: Path, text: str, expected: list[tuple[int, int, str]]) -> None:
    (tmp_path / "shop.appup.yaml").write_text(text)
    assert asked(read_appup(tmp_path / "shop.appup.yaml")) == expected


def test_erlang(tmp_path: Path) -> None:
    (tmp_path / "shop.appup").write_text('%% TODO: why\n{"2", [], % TODO how\n []}. % "TODO"\n')
    found = read_document(tmp_path / "shop.appup")
    assert isinstance(found, Appup)
    assert asked(found) == [(1, 1, "why"), (2, 11, "how")]
