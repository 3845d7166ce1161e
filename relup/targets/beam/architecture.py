"""Whether a release is built for the machine that a node runs on.

Code of Erlang runs anywhere; libraries of C that an application brings in its `priv`, and the runtime that a release
brings with it, run on one kind of processor. The node would load the code of the upgrade all the same, and fail at the
first call into such a library, or at the next boot. Both say in the first 20 bytes what they are for (ELF), and the
node says what it is. What is no ELF, and a node of a kind that is not known here, is let pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic
from relup.model.release import Application, Release
from relup.targets.beam.asking import system_info
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.files import ebin_of

_Kind: TypeAlias = tuple[int, int, int]
"""What an ELF file says of the processor: `e_machine`, its class (32 bits: 1, 64: 2), its order (little: 1, big: 2)."""

_KINDS: Mapping[str, _Kind] = {
    "x86_64": (62, 2, 1),
    "aarch64": (183, 2, 1),
    "i686": (3, 1, 1),
    "arm": (40, 1, 1),
    "riscv64": (243, 2, 1),
    "powerpc64le": (21, 2, 1),
    "s390x": (22, 2, 2),
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ALIKE: Mapping[str, str] = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "armv6l": "arm",
    "armv7l": "arm",
    "ppc64le": "powerpc64le",
}
_HEADER = 20


async def other_architecture(bridge: Bridge, base: Release, goal: Release) -> list[Diagnostic]:
    """Return which files of *goal* that *base* has not are for another processor than the node runs on.

    The code of *goal* is known (`with_code`).
    """
    said = (await system_info(bridge, "system_architecture")).partition("-")[0]
    name = _ALIKE.get(said, said)
    wanted = _KINDS.get(name)
    if wanted is None:
        return []
    kinds = [(file, kind) for file in _native(base, goal) if (kind := _kind(file))]
    return [_other(file, kind, name) for file, kind in kinds if kind != wanted]


def _other(file: Path, kind: _Kind, name: str) -> Diagnostic:
    built = _NAMES.get(kind, f"another architecture (ELF machine {kind[0]})")
    message = f"{file} is built for {built}, and the node runs on {name}"
    return Diagnostic("other_architecture", message, hint="build the release for the node's machine")


def _native(base: Release, goal: Release) -> Iterator[Path]:
    """Yield the libraries of the applications that are new or change, and the emulator that a release brings."""
    for application in goal.not_in(base):
        yield from _libraries(application, goal)
    yield Path(goal.root) / f"erts-{goal.erts}" / "bin" / "beam.smp"


def _libraries(application: Application, release: Release) -> list[Path]:
    ebin = ebin_of(application, release)
    return sorted((ebin.parent / "priv").rglob("*.so")) if ebin else []


def _kind(file: Path) -> _Kind | None:
    """Return what a file is built for; None when it is no ELF, or cannot be read."""
    try:
        with file.open("rb") as opened:
            header = opened.read(_HEADER)
    except OSError:
        return None
    if len(header) < _HEADER or header[:4] != b"\x7fELF":
        return None
    order = header[5]
    return int.from_bytes(header[18:20], "big" if order == 2 else "little"), header[4], order
