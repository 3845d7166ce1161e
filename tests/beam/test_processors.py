"""A release whose libraries or runtime are for another processor is refused before anything is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.beam.nodes import Beam, copy_release
from tests.beam.test_commands import left_behind
from tests.beam.test_restart import restarting
from tests.support import Commands, lacking

HOUR = 3_600_000
AARCH64, X86_64, PPC64, S390X = (183, 2, 1), (62, 2, 1), (21, 2, 2), (22, 2, 2)


def elf(machine: int, width: int, order: int) -> bytes:
    """Return the beginning of a library for a processor."""
    number = machine.to_bytes(2, "big" if order == 2 else "little")
    return bytes([*b"\x7fELF", width, order, 1, *bytes(9)]) + b"\x03\0" + number + bytes(44)


def here() -> tuple[int, int, int]:
    """Return what the files of this machine's own Python are for."""
    header = Path(sys.executable).resolve().read_bytes()[:20]
    if header[:4] != b"\x7fELF":
        lacking("no programs of this machine are ELF files: run it on Linux")
    return int.from_bytes(header[18:20], "big" if header[5] == 2 else "little"), header[4], header[5]


def write(file: Path, data: bytes) -> Path:
    """Write a file anew: what was there may be a link to a file of other tests."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("dry", [("--dry-run",), ("--yes",)])
def test_each_file_for_another_processor_is_named(
    commands: Commands, beam: Beam, tmp_path: Path, dry: tuple[str, ...]
) -> None:
    goal = copy_release(beam.depot["2"], tmp_path / "goal", "depot")
    other = AARCH64 if here() != AARCH64 else X86_64
    nif = write(goal / "lib/depot-2/priv/native/nif.so", elf(*other))
    big = write(goal / "lib/depot-2/priv/big.so", elf(*PPC64))
    (emulator,) = goal.glob("erts-*/bin/beam.smp")
    write(emulator, elf(*other))
    with beam.depot_node(interval=HOUR) as node:
        before = left_behind(node)
        said = commands.run("apply", node.name, goal, *dry, exit_code=4).stderr.splitlines()
        refusals = [line for line in said if line.endswith("[other_architecture]")]
        names = {AARCH64: "aarch64", X86_64: "x86_64"}
        mine = names.get(here(), "")
        assert len(refusals) == 3
        for file, kind in ((big, "another architecture"), (nif, names[other]), (emulator, names[other])):
            assert any(f"{file} is built for {kind}" in line and f"runs on {mine}" in line for line in refusals)
        assert left_behind(node) == before


def test_what_is_for_this_processor_or_no_library_at_all_passes(commands: Commands, beam: Beam, tmp_path: Path) -> None:
    """Also a library of an application that stays as it is: nobody loads it anew."""
    goal = copy_release(beam.depot["2"], tmp_path / "goal", "depot")
    write(goal / "lib/depot-2/priv/nif.so", elf(*here()))
    write(goal / "lib/depot-2/priv/text.so", b"INPUT(-lm)\n")
    write(goal / "lib/depot-2/priv/short.so", b"\x7fELF")
    (stdlib,) = goal.glob("lib/stdlib-*")
    write(stdlib / "priv" / "other.so", elf(*S390X))
    with beam.depot_node(interval=HOUR) as node:
        assert "ready" in commands.run("apply", node.name, goal, "--dry-run").stdout


def test_the_files_of_a_later_hop_are_looked_at_before_the_first(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    for vsn in ("1", "2", "3"):
        copy_release(beam.anemone[vsn], tmp_path / "releases" / vsn, "anemone")
    last = tmp_path / "releases" / "3"
    library = write(last / "lib/anemone-0.3.0/priv/nif.so", elf(*S390X))
    with beam.anemone_node() as node:
        refused = commands.run("apply", node.name, last, "--via", "0.2.0", "--yes", exit_code=4)
        assert f"{library} is built for s390x" in refused.stderr
        assert node.ask("sys:get_state(counter)") < 1000


def test_a_node_is_not_restarted_into_an_emulator_for_another_processor(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = restarting(beam.depot["2"], tmp_path)
    (emulator,) = goal.glob("erts-*/bin/beam.smp")
    write(emulator, elf(*S390X))
    with beam.depot_node(interval=HOUR) as node:
        refused = commands.run("apply", node.name, goal, "--yes", "--allow-restart", exit_code=4)
        assert f"{emulator} is built for s390x" in refused.stderr
        assert not (node.root / "releases" / "2").exists()
