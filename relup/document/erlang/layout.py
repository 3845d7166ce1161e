"""Where a BEAM release and its applications lie on the disk.

There is no one layout: a release that runs has `releases/<vsn>/<name>.rel` and `lib/<application>-<vsn>/ebin`, one
that is being made has its `.rel` file somewhere and its applications wherever they are built. OTP is given a search
path; here the usual places around the `.rel` file are looked into, and what an `.app` file says of its version decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.text import is_file, read_bytes

_HELPERS = frozenset({"start_clean.rel", "no_dot_erlang.rel"})
"""Releases of nothing that every relx release has beside its own: `bin/<name>` boots them for its own purposes."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the applications of one release are looked for."""

    folders: tuple[Path, ...]
    """The folder of the `.rel` file, and those above it up to the root of the release."""
    libraries: tuple[Path, ...] = ()
    """Folders such as `/usr/lib/erlang/lib`, for what the release has not itself."""

    @property
    def root(self) -> Path:
        """The folder that holds `releases` and `lib`; the folder of a `.rel` file that lies elsewhere."""
        return self.folders[-1]

    def ebins(self, name: str, vsn: str) -> Iterator[Path]:
        """Yield the folders that may hold the `.app` file of an application."""
        versioned = f"{name}-{vsn}"
        for folder in self.folders:
            yield from (folder / "lib" / versioned / "ebin", folder / versioned / "ebin", folder / name / "ebin")
            yield from (folder / "lib" / name / "ebin", folder / "ebin", folder)
        for library in self.libraries:
            yield from (library / versioned / "ebin", library / name / "ebin")

    def in_words(self, name: str, vsn: str) -> str:
        """Return what `ebins` yields as a phrase."""
        versioned = f"{name}-{vsn}"
        own = f"lib/{versioned}/ebin, {versioned}/ebin, {name}/ebin, lib/{name}/ebin and ebin"
        there = f"{own} of {', '.join(map(str, self.folders))}, and there itself"
        if not self.libraries:
            return there
        return f"{there}; in {versioned}/ebin and {name}/ebin of {', '.join(map(str, self.libraries))}"


def places(rel: Path, libraries: Sequence[str | Path] = ()) -> Places:
    """Return where the applications of the release in the file *rel* are looked for."""
    absolute = Path(os.path.abspath(rel))  # noqa: PTH100  `resolve` would follow links, and leave the release
    here = absolute.parent
    above = 1 if here.name == "releases" else 2 if here.parent.name == "releases" else 0
    known = rel if len(rel.parents) > above and ".." not in rel.parts else absolute
    return Places(tuple(known.parents)[: above + 1], tuple(map(Path, libraries)))


def rel_file(folder: Path) -> Path | None:
    """Return the `.rel` file of a release's folder, None when it has none; raise `InvalidInput` when it has several."""
    found = _files(folder, "releases/*/*.rel") or _files(folder, "releases/*.rel") or _files(folder, "*.rel")
    if len(found) > 1:
        vsn = _permanent(folder / "releases" / "start_erl.data")
        found = [f for f in found if f.parent == folder / "releases" / vsn] or found
    if len(found) > 1:
        names = ", ".join(str(f.relative_to(folder)) for f in found)
        message = f"there are several releases in this folder: {names}"
        place = Location(str(folder), 1, 1)
        raise InvalidInput([Diagnostic("ambiguous_release", message, place, hint="name one of these files")])
    return found[0] if found else None


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(f for f in folder.glob(pattern) if f.name not in _HELPERS and is_file(f))


def _permanent(file: Path) -> str:
    """Return the version that `start_erl.data` says a node boots (`ErtsVsn RelVsn`), "" when it says none."""
    try:
        words = read_bytes(file, 4096).decode("utf-8", "replace").split()
    except InvalidInput:
        return ""
    return words[1] if len(words) == 2 else ""
