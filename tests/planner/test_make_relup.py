"""Releases as files, with their .rel, .app and .appup: `systools:make_relup` and relup make the same of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.model.instructions import (
    AddModule,
    Advanced,
    Apply,
    Call,
    DeleteModule,
    Instruction,
    LoadModule,
    PointOfNoReturn,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Soft,
    SupervisorChange,
    Update,
)
from relup.planner import plan
from tests.planner.otp_oracle import Oracle
from tests.planner.otp_terms import erl, instruction, plain, rank_of

MODULES = ("cart", "web", "till", "bell")


@dataclass(frozen=True)
class App:
    """An application in one release."""

    name: str
    vsn: str
    uses: tuple[str, ...] = ()
    type: str = "permanent"
    up: tuple[Instruction, ...] = ()
    down: tuple[Instruction, ...] = ()
    appup: str | None = "2"
    """The version its appup says it is for; None: there is no appup."""

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{m}" for m in MODULES)


@dataclass(frozen=True)
class Rel:
    """A release: its applications in the order of its .rel file."""

    vsn: str
    applications: tuple[App, ...]
    erts: str = "13.1"
    sasl: bool = True


# ── releases by chance ─────────────────────────────────────────────────────────────────────────────────


@st.composite
def scripts(draw: st.DrawFn, app: str, changed: tuple[str, ...]) -> tuple[Instruction, ...]:
    """Instructions for some modules of *app*, that may depend on modules of every changed application."""
    mine = draw(st.lists(st.sampled_from(MODULES), unique=True))
    everybody = [f"{a}_{m}" for a in changed for m in MODULES]
    found: list[Instruction] = []
    for module in (f"{app}_{m}" for m in mine):
        depends = tuple(draw(st.lists(st.sampled_from([f"{app}_{m}" for m in mine]), max_size=2)))
        if draw(st.integers(0, 9)) == 0:
            depends = (*depends, draw(st.sampled_from(everybody)))
        change = draw(st.sampled_from([Soft(), Advanced(), Advanced("x"), SupervisorChange()]))
        update = Update(module, change) if change == SupervisorChange() else Update(module, change, depends)
        found.append(draw(st.sampled_from([update, LoadModule(module, depends), AddModule(module, depends)])))
    for more in draw(st.lists(others(app), max_size=1)):
        found.insert(draw(st.integers(0, len(found))), more)
    return tuple(found)


def others(app: str) -> st.SearchStrategy[Instruction]:
    return st.sampled_from(
        [
            Apply(Call("m", "f", (1,))),
            PointOfNoReturn(),
            RestartApplication(app),
            RestartEmulator(),
            RestartNewEmulator(),
            DeleteModule(f"{app}_gone"),
        ]
    )


@st.composite
def release_pairs(draw: st.DrawFn) -> tuple[Rel, Rel]:
    """Two releases of up to five applications: changed, unchanged, added, removed, in any order."""
    names = ["anna", "berta", "carla", "doris", "emma"][: draw(st.integers(1, 5))]
    fates = {n: draw(st.sampled_from(["changed", "changed", "same", "added", "removed"])) for n in names}
    changed = tuple(n for n in names if fates[n] == "changed") or (names[0],)
    old, new = [], []
    for number, name in enumerate(names):
        uses = tuple(draw(st.lists(st.sampled_from(names[:number]), unique=True))) if number else ()
        kind = draw(st.sampled_from(["permanent", "permanent", "load", "none", "temporary", "transient"]))
        app = App(name, "1", uses, kind)
        if fates[name] == "changed":
            up, down = draw(scripts(name, changed)), draw(scripts(name, changed))
            app_vsn = draw(st.sampled_from(["2"] * 12 + ["3", None]))
            newer = replace(app, vsn="2", up=up, down=down, appup=app_vsn)
        else:
            newer = app
        if fates[name] != "added":
            old.append(app)
        if fates[name] != "removed":
            new.append(newer)
    shared = {a.name for a in old} & {a.name for a in new}
    base = Rel("1", _known(draw(st.permutations(old)), shared))
    erts = draw(st.sampled_from(["13.1"] * 6 + ["13.2"]))
    return base, Rel("2", _known(draw(st.permutations(new)), shared), erts, draw(st.integers(0, 30)) != 7)


def _known(applications: Sequence[App], shared: set[str]) -> tuple[App, ...]:
    """Drop dependencies on applications that are not there: in this release, or in both where the files are shared."""
    here = {a.name for a in applications}
    there = {a.name: shared if a.vsn == "1" and a.name in shared else here for a in applications}
    return tuple(replace(a, uses=tuple(u for u in a.uses if u in there[a.name])) for a in applications)


# ── as files ───────────────────────────────────────────────────────────────────────────────────────────


SYSTEM = (App("kernel", "8.5"), App("stdlib", "4.2"), App("sasl", "4.2"))


def write(root: Path, release: Rel) -> Path:
    """Write the release into *root* as rebar3 and mix lay releases out; return its .rel file."""
    applications = (*(a for a in SYSTEM if release.sasl or a.name != "sasl"), *release.applications)
    for app in applications:
        ebin = root / "lib" / f"{app.name}-{app.vsn}" / "ebin"
        ebin.mkdir(parents=True, exist_ok=True)
        (ebin / f"{app.name}.app").write_text(app_file(app))
        if app.vsn == "2" and app.appup:
            entries = (f'[{{"1", {erl(script)}}}]' for script in (app.up, app.down))
            (ebin / f"{app.name}.appup").write_text(f'{{"{app.appup}", {", ".join(entries)}}}.\n')
    file = root / "releases" / release.vsn / "shop.rel"
    file.parent.mkdir(parents=True)
    listed = ", ".join(f'{{{a.name}, "{a.vsn}", {a.type}}}' for a in applications)
    file.write_text(f'{{release, {{"shop", "{release.vsn}"}}, {{erts, "{release.erts}"}}, [{listed}]}}.\n')
    return file


def app_file(app: App) -> str:
    needs = {"kernel": (), "stdlib": ("kernel",)}.get(app.name, ("kernel", "stdlib", *app.uses))
    return (
        f'{{application, {app.name}, [{{description, ""}}, {{vsn, "{app.vsn}"}}, {{registered, []}},'
        f" {{modules, {erl(app.modules)}}}, {{applications, {erl(needs)}}}]}}.\n"
    )


# ── the same ───────────────────────────────────────────────────────────────────────────────────────────

CHANGED = App("anna", "2", up=(Update("anna_cart", Advanced(), ("anna_web",)), LoadModule("anna_web")))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(release_pairs())
@example((Rel("1", (App("anna", "1"), App("berta", "1"))), Rel("2", (App("carla", "1"), CHANGED), "13.2")))
def test_systools_and_relup_make_the_same_relup(otp: Oracle, pair: tuple[Rel, Rel]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        old, new = (write(root, release) for release in pair)
        compare(plain(otp.make_relup(new, old, root / "lib")), old, new)


def compare(answer: Any, old: Path, new: Path) -> None:
    base, goal = read_release(old), read_release(new)
    match answer:
        case ("ok", (vsn, [up], [down]), warnings):
            made = plan(base, goal)
            assert (vsn, up[0], down[0]) == (goal.vsn, base.vsn, base.vsn)
            assert set(warnings) == {d.code for d in made.warnings if d.severity == "warning"} - OWN
            there, back = (tuple(instruction(t) for t in terms) for _, _, terms in (up, down))
            assert plan(base, goal, rank=rank_of("up", there)).script == there
            assert plan(base, goal, rank=rank_of("down", back)).way_back == back
        case ("error", tag):
            with pytest.raises(InvalidInput) as error:
                plan(base, goal)
            assert tag in {d.code for d in error.value.diagnostics}


OWN = {"irreversible", "state_lost", "no_such_module", "no_code_change", "vsn_unchanged"}
"""Warnings that OTP does not have."""
