"""Every error class of `systools_rc`: an appup that OTP refuses with it, relup refuses with it, at its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relup.diagnostics import Diagnostic, InvalidInput
from relup.document.erlang.appup import read_erlang_appup
from relup.model.release import Application
from relup.planner import plan
from tests.planner.build import beam
from tests.planner.otp_oracle import Oracle
from tests.planner.otp_terms import plain

CLASSES = {
    "bad_application": "{add_application, 1}",
    "bad_args_list": "{apply, {m, f, x}}",
    "bad_change": "{update, m, hard, soft_purge, soft_purge, []}",
    "bad_code_change": "{suspend, [m]}, {code_change, [m]}, {resume, [m]}",
    "bad_func": "{apply, {m, 1, []}}",
    "bad_instruction": "{upgrade, m}",
    "bad_lib": '{load_object_code, {1, "2", [m]}}',
    "bad_lib_vsn": "{load_object_code, {shop, 2, [m]}}",
    "bad_list": "{purge, m}",
    "bad_mod_type": "{update, m, statik, default, soft, soft_purge, soft_purge, []}",
    "bad_mode": "{suspend, [m]}, {code_change, sideways, [{m, []}]}, {resume, [m]}",
    "bad_module": "{load_module, 1}",
    "bad_node": "{sync_nodes, here, [1]}",
    "bad_op_before_point_of_no_return": "{load_module, m}, point_of_no_return",
    "bad_purge_method": "{load_module, m, hard_purge, soft_purge, []}",
    "bad_start_type": "{add_application, extra, eternal}",
    "bad_timeout": "{update, m, soon, soft, soft_purge, soft_purge, []}",
    "conflicting_versions": '{load_object_code, {shop, "3", [m]}}, {load_module, m}',
    "muldef_module": "{load_module, m}, {load_module, m}",
    "no_object_code": "{load, {m, soft_purge, soft_purge}}",
    "no_such_application": "{add_application, nowhere}",
    "no_such_module": "{load_module, nowhere}",
    "not_yet_implemented": "mnesia_backup",
    "removed_application_present": "{remove_application, shop}",
    "resumed_not_suspended": "{resume, [m]}",
    "start_not_stop": "{start, [m]}",
    "stop_not_start": "{stop, [m]}",
    "suspended_not_resumed": "{suspend, [m]}",
    "too_many_point_of_no_return": "point_of_no_return, point_of_no_return",
    "undef_module": "{load_module, m, [nowhere]}",
}
DEAD = {"code_change_not_suspended": "{code_change, [{m, []}]}"}
"""What OTP can say and never does; relup does."""
BEFORE = (Application("shop", "1", ("m",)), Application("extra", "1", ("e",)))
AFTER = (Application("shop", "2", ("m",)), Application("extra", "1", ("e",)))


def test_these_are_the_error_classes_of_otp(otp: Oracle) -> None:
    assert set(otp.error_classes()) == CLASSES.keys() | DEAD.keys()


@pytest.mark.parametrize(("tag", "script"), CLASSES.items())
def test_otp_and_relup_call_it_the_same(otp: Oracle, tmp_path: Path, tag: str, script: str) -> None:
    answer = plain(otp.translate_terms(f"[[{script}]]", AFTER, BEFORE))
    assert answer[0] == "error"
    assert (answer[2] if isinstance(answer[2], str) else answer[2][0]) == tag
    assert [d.location.line for d in found(tmp_path, script) if d.code == tag and d.location]


@pytest.mark.parametrize(("tag", "script"), DEAD.items())
def test_relup_says_what_otp_forgets(otp: Oracle, tmp_path: Path, tag: str, script: str) -> None:
    assert plain(otp.translate_terms(f"[[{script}]]", AFTER, BEFORE))[0] == "ok"
    assert tag in [d.code for d in found(tmp_path, script)]


def found(tmp_path: Path, script: str) -> Iterator[Diagnostic]:
    """Everything that is wrong with an appup of that script."""
    file = tmp_path / "shop.appup"
    file.write_text(f'{{"2",\n [{{"1",\n [{script}]}}],\n [{{"1", []}}]}}.\n')
    try:
        appup = read_erlang_appup(file)
        shop = Application("shop", "2", ("m",), appup=appup)
        plan(beam("1", *BEFORE), beam("2", shop, AFTER[1]))
    except InvalidInput as error:
        yield from error.diagnostics
